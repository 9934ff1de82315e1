"""ONNX operators as float64 PyTorch operations: inference semantics, straight from the ONNX specification."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Attributes = dict[str, Any]
Operation = Callable[[Sequence[Tensor], Attributes], Tensor]


def same_pads(size: Sequence[int], window: Sequence[int], stride: Sequence[int], *, upper: bool) -> list[int]:
    """ONNX pads (all begins, then all ends) for auto_pad SAME_UPPER or SAME_LOWER; `window` counts its dilation."""
    totals = [max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in zip(size, window, stride, strict=True)]
    small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return small + large if upper else large + small


def window(x: Tensor, kernel: Sequence[int], attributes: Attributes) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations and pads of a Conv or pool."""
    axes = len(kernel)
    stride = list(attributes.get("strides", [1] * axes))
    dilation = list(attributes.get("dilations", [1] * axes))
    pads = list(attributes.get("pads", [0] * (2 * axes)))
    mode = attributes.get("auto_pad", b"NOTSET").decode()
    if mode.startswith("SAME"):
        extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        pads = same_pads(x.shape[2:], extent, stride, upper=mode == "SAME_UPPER")
    return stride, dilation, pads


def pad(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    """Pads the last axes; ONNX lists all begins, then all ends, PyTorch pairs from the last axis backwards."""
    axes = len(pads) // 2
    pairs = [amount for axis in reversed(range(axes)) for amount in (pads[axis], pads[axis + axes])]
    return F.pad(x, pairs, value=value) if any(pairs) else x


def conv(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, weight, *bias = inputs
    stride, dilation, pads = window(x, weight.shape[2:], attributes)
    apply = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[x.ndim - 2]
    return apply(
        pad(x, pads), weight, bias[0] if bias else None, stride, 0, dilation, groups=attributes.get("group", 1)
    )


def gemm(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    a = inputs[0].T if attributes.get("transA") else inputs[0]
    b = inputs[1].T if attributes.get("transB") else inputs[1]
    y = attributes.get("alpha", 1.0) * (a @ b)
    return y + attributes.get("beta", 1.0) * inputs[2] if len(inputs) > 2 else y


def batch_norm_scale(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return inputs[1] / torch.sqrt(inputs[4] + attributes.get("epsilon", 1e-5))


def batch_norm(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, _, shift, mean, _ = inputs
    shape = [1, -1] + [1] * (x.ndim - 2)
    scale = batch_norm_scale(inputs, attributes)
    return (x - mean.reshape(shape)) * scale.reshape(shape) + shift.reshape(shape)


def max_pool(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, kernel = inputs[0], attributes["kernel_shape"]
    stride, dilation, pads = window(x, kernel, attributes)
    ceil = bool(attributes.get("ceil_mode", 0))
    return F.max_pool2d(pad(x, pads, -math.inf), kernel, stride, 0, dilation, ceil_mode=ceil)


def average_pool(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, kernel = inputs[0], attributes["kernel_shape"]
    stride, dilation, pads = window(x, kernel, attributes)
    if attributes.get("ceil_mode", 0) or set(dilation) != {1}:
        raise NotImplementedError("AveragePool with ceil_mode or dilations")
    total = F.avg_pool2d(pad(x, pads), kernel, stride, divisor_override=1)
    included = pad(torch.ones_like(x[:1, :1]), pads, float(attributes.get("count_include_pad", 0)))
    return total / F.avg_pool2d(included, kernel, stride, divisor_override=1)


def reshape(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    x, target = inputs[0], inputs[1].tolist()
    return x.reshape([x.shape[k] if n == 0 and not attributes.get("allowzero") else n for k, n in enumerate(target)])


def flatten(inputs: Sequence[Tensor], attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 1)
    return inputs[0].reshape(math.prod(inputs[0].shape[:axis]), -1)


OPERATIONS: dict[str, Operation] = {
    "Add": lambda inputs, _: inputs[0] + inputs[1],
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Concat": lambda inputs, attributes: torch.cat(list(inputs), attributes["axis"]),
    "Conv": conv,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": lambda inputs, _: inputs[0].mean(tuple(range(2, inputs[0].ndim)), keepdim=True),
    "Identity": lambda inputs, _: inputs[0],
    "LeakyRelu": lambda inputs, attributes: F.leaky_relu(inputs[0], attributes.get("alpha", 0.01)),
    "MatMul": lambda inputs, _: inputs[0] @ inputs[1],
    "MaxPool": max_pool,
    "Relu": lambda inputs, _: F.relu(inputs[0]),
    "Reshape": reshape,
    "Transpose": lambda inputs, attributes: inputs[0].permute(*attributes["perm"]),
}
