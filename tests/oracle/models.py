"""The real models of the oracle tests: where each lies, its rows as it wants them, its stored float64 arrays.

Needs neither PyTorch nor onnxbound. The fixtures are always there; the public models and the full data sets only
where ONNXBOUND_TEST_DATA names a folder with `data/` and `models/` in it.
"""

import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
ARRAYS = Path(__file__).parent / "arrays"
NOT_PIECEWISE_LINEAR = {"marabou_selfattn_mnist"}


@dataclass(frozen=True, slots=True)
class Model:
    """One model and its training set; `row_shape` is the model input's shape without the batch."""

    name: str
    path: Path
    dataset: str
    data: Path
    row_shape: tuple[int, ...]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    labels: Path | None = None
    train_accuracy: float | None = None

    @property
    def layout(self) -> str | None:
        """The value of onnxbound's --layout: how the data file is laid out, where the model's input differs."""
        if len(self.row_shape) == 1:
            return "flat"
        return "nhwc" if self.dataset == "cifar10" and self.row_shape[0] == 3 else None

    @property
    def flags(self) -> list[str]:
        """The preprocessing options of onnxbound's command line."""
        flags = ["--scale", "1/255"]
        if self.layout:
            flags += ["--layout", self.layout]
        if self.mean != (0.0,):
            flags += ["--mean", ",".join(map(str, self.mean)), "--std", ",".join(map(str, self.std))]
        return flags

    def rows(self, index: NDArray[np.int64], part: str = "train") -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Inputs (b, *row_shape) and labels (b,): (x / 255 - mean) / std in float64, rounded once to float32."""
        images, labels = _read(self.data, part)
        if self.labels is not None and part == "train":
            labels = np.load(self.labels, allow_pickle=False)
        x = (images[index].astype(np.float64) * (1 / 255) - np.array(self.mean)) / np.array(self.std)
        if x.ndim == 4 and self.layout == "nhwc":
            x = x.transpose(0, 3, 1, 2)
        x = x.reshape(len(index), *self.row_shape)
        return np.ascontiguousarray(x, np.float32), labels[index].reshape(-1).astype(np.int64)


@cache
def _read(path: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as data:
            return data[f"x_{part}"], data[f"y_{part}"]
    arrays = _unpacked(path)
    return arrays[f"x_{part}"], arrays[f"y_{part}"]


@cache
def _unpacked(path: Path) -> dict[str, NDArray[Any]]:
    """A data set that is stored packed, by the script that lies beside it."""
    arrays: dict[str, NDArray[Any]] = run_path(str(path.with_name("unpack.py")))["unpack"](path)
    return arrays


def fixtures() -> list[Model]:
    """The committed models with the committed data they were trained on."""
    entries = json.loads((FIXTURES / "manifest.json").read_text())["models"]
    return [
        Model(
            name=name,
            path=FIXTURES / f"{name}.onnx",
            dataset=entry["dataset"],
            data=FIXTURES / "data" / f"{entry['dataset']}.npz",
            row_shape=tuple(entry["input_shape"]),
            mean=tuple(entry.get("mean", (0.0,))),
            std=tuple(entry.get("std", (1.0,))),
            labels=FIXTURES / entry["labels"] if "labels" in entry else None,
        )
        for name, entry in entries.items()
    ]


def full_data(dataset: str) -> Path | None:
    """The full `mnist` or `cifar10`, npz or packed; None without ONNXBOUND_TEST_DATA (or ..._CIFAR10, ..._MNIST)."""
    folder = os.environ.get("ONNXBOUND_TEST_DATA", "")
    candidates = [os.environ.get(f"ONNXBOUND_TEST_{dataset.upper()}", "")]
    candidates += [f"{folder}/data/{dataset}.{suffix}" for suffix in ("npz", "medp")]
    return next((Path(candidate) for candidate in candidates if candidate and Path(candidate).is_file()), None)


def public_models(folder: str = "models") -> list[Model]:
    """Trained classifiers from public repositories, without those that are not piecewise linear; [] where absent."""
    manifest = Path(os.environ.get("ONNXBOUND_TEST_DATA", "")) / folder / "manifest.json"
    if not os.environ.get("ONNXBOUND_TEST_DATA") or not manifest.is_file():
        return []
    models = []
    for entry in json.loads(manifest.read_text())["models"]:
        name, data = Path(entry["file"]).stem, full_data(entry["dataset"])
        if name in NOT_PIECEWISE_LINEAR or data is None:
            continue
        constants = re.fullmatch(r"\(x/255-\[?(.*?)\]?\)/\[?(.*?)\]?", entry["normalisation"])
        groups = constants.groups() if constants else ("0", "1")
        mean, std = (tuple(map(float, group.split(","))) for group in groups)
        models.append(
            Model(
                name=name,
                path=manifest.parent / entry["file"],
                dataset=entry["dataset"],
                data=data,
                row_shape=tuple(entry["inputs"][0]["shape"][1:]),
                mean=mean,
                std=std,
                train_accuracy=entry["train_acc_full"],
            )
        )
    return models


def stored(name: str) -> dict[str, NDArray[Any]]:
    """The oracle's arrays of a model, as `oracle.measure` returns them."""
    with np.load(ARRAYS / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)
