"""AlexNet at the size of [A], under a clock: python -m reproduce.full_scale CIFAR10.npz FOLDER --minutes 8.5.

Trains the net with the right labels and with shuffled ones, at several learning rates side by side on one GPU. Takes
the first rate at which both nets learn their rows, and measures these two nets, the most important properties first.
FOLDER/results lacks what is not done in time; a second call continues. `python -m reproduce.tables FOLDER` makes the
tables.
"""

import argparse
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from copy import deepcopy
from math import cos, pi
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fixtures.exporting import export
from reproduce.architectures import alexnet
from reproduce.experiments import PRINTED, checkpoints, run
from reproduce.train import DECAY, MEAN, STD, take

NETS = ("alexnet", "alexnet_shuffled")
LEARNT = 0.01
"""Largest training error of a net that has learnt its rows."""

_AT_ONCE = 4
"""Commands that run side by side."""

_WARM_UP = 0.05

Errors = list[dict[str, float]]
Job = tuple[str, str, list[str], tuple[str, ...]]


def initialised(width: int) -> nn.Sequential:
    """AlexNet with the weights of He et al. 2015 and no biases: the signal keeps its size through the layers."""
    net = alexnet(width)
    assert isinstance(net, nn.Sequential)
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return net


def images(pixels: Tensor) -> Tensor:
    """Bytes (n, h, w, c), scaled and normalised, as (n, c, h, w)."""
    mean, std = (torch.tensor(values, device=pixels.device) for values in (MEAN, STD))
    return ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)


@torch.no_grad()
def error(net: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    """Share of the rows that are classified wrongly."""
    net.eval()
    parts = zip(pixels.split(2000), labels.split(2000), strict=True)
    return sum(int((net(images(x)).argmax(1) != y).sum()) for x, y in parts) / len(labels)


def train(folder: Path, name: str, given: argparse.Namespace, rate: float, seconds: float) -> Errors:
    """One net at one rate: its files, and its errors at the checkpoints, which are the powers of two.

    The rate rises, then falls to 0 along a half cosine, over the epochs or the seconds, whichever end first.
    """
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with np.load(folder / "rows.npz", allow_pickle=False) as rows:
        x, y, x_test, y_test = (
            torch.from_numpy(rows[key]).to(device) for key in ("x_train", "y_train", "x_test", "y_test")
        )
    if name.endswith("shuffled"):
        y = torch.from_numpy(np.load(folder / "shuffled_labels.npy", allow_pickle=False)).to(device)
    torch.manual_seed(1)
    net = initialised(given.width).to(device, memory_format=torch.channels_last)
    found: Errors = []
    started = time.perf_counter()

    def keep(epoch: int, suffix: str) -> None:
        export(deepcopy(net).cpu(), (3, 32, 32), target / f"{name}{suffix}.onnx", opset=17, keep_batch_norm=False)
        passed = time.perf_counter() - started
        errors = {"train_error": error(net, x, y), "test_error": error(net, x_test, y_test)}
        found.append({"epoch": epoch, "seconds": passed} | errors)
        print(f"{name} at rate {rate}: {found[-1]}", flush=True)

    target = folder / f"rate_{rate}"
    target.mkdir(exist_ok=True)
    keep(0, "_init")
    optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=DECAY)
    started = time.perf_counter()
    epoch, way = 0, 0.0
    while way < 1:
        net.train()
        order = torch.randperm(len(x), device=device).split(given.batch)
        for step, drawn in enumerate(order):
            way = max((epoch + step / len(order)) / given.epochs, (time.perf_counter() - started) / seconds)
            for group in optimiser.param_groups:
                group["lr"] = rate * min(way / _WARM_UP, 0.5 + 0.5 * cos(pi * min(way, 1.0)))
            optimiser.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                loss = nn.functional.cross_entropy(net(images(x[drawn])), y[drawn])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        epoch += 1
        way = max(way, epoch / given.epochs)
        if epoch & (epoch - 1) == 0 and way < 1:
            keep(epoch, f"_epoch{epoch}")
    keep(epoch, "")
    return found


def train_all(folder: Path, given: argparse.Namespace) -> None:
    """Train both nets at every rate, and keep those of one rate in the folder."""
    seconds = 60 * given.minutes * given.share
    found: dict[float, dict[str, Errors]] = {rate: {} for rate in given.rates}
    with ProcessPoolExecutor(len(NETS) * len(given.rates), get_context("spawn")) as pool:
        training = {
            (rate, name): pool.submit(train, folder, name, given, rate, seconds)
            for rate in given.rates
            for name in NETS
        }
        for (rate, name), future in training.items():
            if (failure := future.exception()) is None:
                found[rate][name] = future.result()
            else:
                print(f"{name} at rate {rate} failed: {failure}", flush=True)
    worst = {rate: max(end[-1]["train_error"] for end in of.values()) for rate, of in found.items() if len(of) == 2}
    learnt = [rate for rate in worst if worst[rate] < LEARNT]
    chosen = learnt[0] if learnt else min(worst, key=lambda rate: worst[rate])
    for path in (folder / f"rate_{chosen}").glob("*.onnx"):
        shutil.copy(path, folder)
    how = {name: value for name, value in vars(given).items() if name not in ("data", "folder")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    document = {"rate": chosen, "torch": torch.__version__, "device": device, "settings": how, "errors": found}
    (folder / "training.json").write_text(json.dumps(document, indent=1) + "\n")


def jobs(folder: Path, given: argparse.Namespace) -> Iterator[Job]:
    """Name, verb, models and options of every command, the most important first."""
    shuffled, test = str(folder / "shuffled_labels.npy"), ("--test", str(folder / "rows.npz"))
    rows, part = ("--measured", str(given.measured)), ("--limit", str(min(10_000, given.rows)))
    both = ("--labels-for", f"2={shuffled}")
    labels = {"alexnet": (), "alexnet_shuffled": ("--labels", shuffled)}
    yield "alexnet_shuffled_compare", "compare", list(NETS), (*rows, *part, *PRINTED, *both)
    yield "alexnet_compare", "compare", ["alexnet_init", "alexnet"], (*rows, *part, *PRINTED)
    for name in NETS:
        yield f"{name}_analyze", "analyze", [name], (*rows, *test, *labels[name])
    fewer = ("--measured", str(max(1, given.measured // 5)), "--limit", str(min(5000, given.rows)))
    few_tested = ("--test", str(folder / "few_tested.npz"), "--engine", "onnxruntime")
    for name in NETS:
        for checkpoint in reversed(checkpoints(folder, name)):
            yield f"track_{checkpoint}", "analyze", [checkpoint], (*fewer, *few_tested, *labels[name])
        if name == "alexnet":
            yield "alexnet_noise", "noise", [name], rows


def measure(folder: Path, given: argparse.Namespace, until: float) -> None:
    """Run the commands side by side; one that is not finished in time leaves nothing behind."""
    threads = ("--threads", str(max(1, (os.cpu_count() or 1) // _AT_ONCE)))

    def work(job: Job) -> None:
        name, verb, models, options = job
        left = until - time.perf_counter()
        try:
            if left > 0:
                run(folder, name, verb, models, *options, *threads, timeout=left)
        except subprocess.SubprocessError as failure:
            print(f"{name}: {type(failure).__name__}", flush=True)
        print(f"{name}: {until - time.perf_counter():.0f} s are left", flush=True)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(work, jobs(folder, given)))


def main() -> None:
    """Train, then measure."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="cifar10.npz with x_train, y_train, x_test, y_test")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=16, help="16 is AlexNet for CIFAR-10")
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.02, 0.05])
    parser.add_argument("--measured", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=8.5, help="for everything")
    parser.add_argument("--share", type=float, default=0.33, help="of the minutes, the longest that training takes")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not (given.folder / "training.json").exists():
        take(given.data, given.folder, given.rows, given.test)
        with np.load(given.folder / "rows.npz", allow_pickle=False) as rows:
            few = {key: rows[key][:5000] for key in ("x_test", "y_test")}
        np.savez(given.folder / "few_tested.npz", **few)
        train_all(given.folder, given)
    measure(given.folder, given, started + 60 * given.minutes)


if __name__ == "__main__":
    main()
