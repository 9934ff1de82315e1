"""VGG-19 and AlexNet for CIFAR-10, as in [A], at any width."""

from torch import nn

_VGG_19 = (1, 1, "pool", 2, 2, "pool", 4, 4, 4, 4, "pool", 8, 8, 8, 8, "pool", 8, 8, 8, 8, "pool")
"""Width of each 3x3 convolution, as a multiple of the narrowest one (64 in Simonyan and Zisserman 2015)."""


def vgg(width: int) -> nn.Module:
    """Sixteen 3x3 convolutions with BatchNorm, and one dense layer."""
    layers: list[nn.Module] = []
    channels = 3
    for step in _VGG_19:
        if isinstance(step, str):
            layers.append(nn.MaxPool2d(2))
            continue
        wide = step * width
        layers += [nn.Conv2d(channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        channels = wide
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, 10))


def alexnet(width: int) -> nn.Module:
    """Five convolutions, overlapping pooling, and three dense layers, without BatchNorm."""
    w = width
    return nn.Sequential(
        *(nn.Conv2d(3, 4 * w, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(4 * w, 8 * w, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(8 * w, 12 * w, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(12 * w, 12 * w, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(12 * w, 8 * w, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Flatten(), nn.Linear(72 * w, 32 * w), nn.ReLU()),
        *(nn.Linear(32 * w, 32 * w), nn.ReLU(), nn.Linear(32 * w, 10)),
    )
