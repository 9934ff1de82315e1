"""Train the nets that `reproduce.experiments` measures: python -m reproduce.train CIFAR10.npz FOLDER.

Writes the rows for training and testing (`rows.npz`), random labels for the training rows (`shuffled_labels.npy`), and
ONNX files of each net: its initialisation, its checkpoints and its last state.
"""

import argparse
import json
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fixtures.exporting import export
from fixtures.training import fit
from reproduce.architectures import alexnet, vgg

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
NETS = {"vgg": vgg, "alexnet": alexnet}
RATES = {"vgg": 0.05, "alexnet": 0.02}
DECAY = 1e-4


def take(data: Path, folder: Path, rows: int, test: int) -> None:
    """Draw the rows from CIFAR-10, always the same for the same counts, and random labels."""
    random = np.random.default_rng(2018)
    with np.load(data, allow_pickle=False) as full:
        train = np.sort(random.permutation(len(full["y_train"]))[:rows])
        held = np.sort(random.permutation(len(full["y_test"]))[:test])
        np.savez(
            folder / "rows.npz",
            x_train=full["x_train"][train],
            y_train=full["y_train"][train],
            x_test=full["x_test"][held],
            y_test=full["y_test"][held],
        )
    np.save(folder / "shuffled_labels.npy", random.integers(0, 10, rows))


def prepared(images: NDArray[np.generic]) -> torch.Tensor:
    """Scaled, normalised, channels first."""
    x = (images.reshape(-1, 32, 32, 3).astype(np.float64) / 255 - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2), dtype=np.float32))


def train(folder: Path, name: str, device: str, *, width: int, shuffled: bool, epochs: int, batch: int) -> None:
    """One net; a finished one is not trained again."""
    key = f"{name}_shuffled" if shuffled else name
    last = folder / f"{key}.onnx"
    if last.exists():
        return
    with np.load(folder / "rows.npz", allow_pickle=False) as rows:
        x, y = prepared(rows["x_train"]), torch.from_numpy(rows["y_train"].astype(np.int64))
    if shuffled:
        y = torch.from_numpy(np.load(folder / "shuffled_labels.npy", allow_pickle=False))
    torch.manual_seed(1)
    net: nn.Module = NETS[name](width).to(device, memory_format=torch.channels_last)
    keep = {1, 4, 16} - {epochs}

    def write(path: Path) -> None:
        export(deepcopy(net).cpu(), (3, 32, 32), path, opset=17, keep_batch_norm=False)

    write(folder / f"{key}_init.onnx")
    started = time.perf_counter()

    def after_epoch(epoch: int) -> None:
        print(f"{key}: epoch {epoch} of {epochs}, {time.perf_counter() - started:.0f} s", flush=True)
        if epoch in keep:
            write(folder / f"{key}_epoch{epoch}.onnx")

    fit(
        net,
        x.to(device),
        y.to(device),
        epochs=epochs,
        rate=RATES[name],
        decay=DECAY,
        batch=batch,
        after_epoch=after_epoch,
    )
    write(last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="cifar10.npz with x_train, y_train, x_test, y_test")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--vgg-width", type=int, default=64, help="64 is VGG-19")
    parser.add_argument("--alexnet-width", type=int, default=16, help="16 is about AlexNet for CIFAR-10")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--shuffled-epochs", type=int, default=80)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not (given.folder / "rows.npz").exists():
        take(given.data, given.folder, given.rows, given.test)
    chosen = {name: getattr(given, name) for name in vars(given) if name not in ("data", "folder", "nets")}
    (given.folder / "training.json").write_text(json.dumps(chosen, indent=2) + "\n")
    for shuffled, epochs in ((False, given.epochs), (True, given.shuffled_epochs)):
        for name in given.nets:
            how = {"width": chosen[f"{name}_width"], "shuffled": shuffled, "epochs": epochs, "batch": given.batch}
            train(given.folder, name, given.device, **how)


if __name__ == "__main__":
    main()
