"""The framework's own outputs are compared with the model's."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from onnxbound.data.array_file import open_npy
from onnxbound.data.open import open_rows
from onnxbound.errors import ModelError, UsageError
from onnxbound.graph.load import load
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from onnxbound.run.reference import require_reference
from tests.nets import random_mlp

ROWS = np.random.default_rng(2).normal(size=(30, 6)).astype(np.float32)


def compare(folder: Path, outputs: np.ndarray) -> str:
    network = load(random_mlp(folder / "net.onnx", [6, 8, 4]))
    np.savez(folder / "rows.npz", x=ROWS, y=np.zeros(30, np.int64))
    np.save(folder / "reference.npy", outputs)
    rows = open_rows(folder / "rows.npz", network)
    return require_reference(network, rows, open_npy(folder / "reference.npy"), resolve_device("cpu"))


def logits(folder: Path) -> np.ndarray:
    network = load(random_mlp(folder / "net.onnx", [6, 8, 4]))
    return Logits(network, resolve_device("cpu"), 1).run(ROWS)


def test_what_agrees_is_said(tmp_path: Path) -> None:
    z = logits(tmp_path)
    assert compare(tmp_path, z[:20]).startswith("the logits of 20 rows")
    assert compare(tmp_path, softmax(z, axis=1)).startswith("the probabilities of 30 rows")
    assert compare(tmp_path, z.argmax(axis=1)).startswith("the labels of 30 rows")


def test_other_outputs_are_refused(tmp_path: Path) -> None:
    z = logits(tmp_path)
    z[3, 1] += 0.01 * np.abs(z).max()
    with pytest.raises(ModelError, match="differ from the framework's") as caught:
        compare(tmp_path, z)
    assert caught.value.code == "model-reference"
    assert "0.01 times the largest value on 30 rows" in caught.value.problems[0].why
    with pytest.raises(ModelError, match="does not fit") as caught:
        compare(tmp_path, z[:, :3])
    assert caught.value.code == "model-reference"
    with pytest.raises(UsageError, match="31 rows"):
        compare(tmp_path, np.zeros((31, 4)))
