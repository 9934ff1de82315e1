"""The statement about a network through another, smaller one, which is encoded in its place."""

from pathlib import Path

import numpy as np
import pytest

import onnxbound
from onnxbound.errors import UsageError
from tests.certificates.conftest import NORMALISED, Case
from tests.cli.command import onnxbound as command
from tests.nets import mlp, random_mlp


@pytest.fixture(scope="module")
def wide(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twice the hidden units of the net that labelled the rows, each pair nearly like one of its."""
    network = onnxbound.load(case / "model.onnx")
    (first, bias), (last, end) = ((layer.operator.weight, layer.operator.bias) for layer in network.layers)
    assert bias is not None
    noise = np.random.default_rng(3).normal(scale=0.02, size=(2 * len(first), first.shape[1]))
    weights = [(np.concatenate([first, first]) + noise, np.tile(bias, 2)), (np.tile(last, (1, 2)) / 2, end)]
    return mlp(tmp_path_factory.mktemp("wide") / "wide.onnx", weights)


def test_a_smaller_network_stands_for_the_original(case: Case, wide: Path, tmp_path: Path) -> None:
    """It is counted, it is compared with the original, and it verifies with the original alone."""
    rows = ("--data", case / "train.npz", "--unlabelled", case / "fresh.npz", *NORMALISED)
    folder = tmp_path / "c"
    asked = ("--surrogate", case / "model.onnx", "--effort", "2", "-q", "--json")
    made = command("certify", wide, *rows, *asked, "-o", folder).json()
    assert made["object"] == "original_unlabelled"
    assert "Dense 6, Relu, Dense 4" in made["code"]["architecture"]
    assert made["bound"] < 0.5
    assert 0 < made["disagreements"]["count"] < 300
    assert command("verify", folder, *rows, "--model", wide).code == 0
    other = command("verify", folder, *rows, "--model", case / "model.onnx", "--json")
    assert other.json()["code"] == "certificate-mismatch"


def test_what_a_surrogate_needs(case: Case, wide: Path, tmp_path: Path) -> None:
    """Rows that tie it to the original, and the same classes."""
    network, other = onnxbound.load(wide), random_mlp(tmp_path / "five.onnx", (10, 6, 5))
    rows, fresh = (onnxbound.open_rows(case / f"{name}.npz", network) for name in ("train", "fresh"))
    for surrogate, unlabelled in ((case / "model.onnx", None), (other, fresh)):
        with pytest.raises(UsageError, match="`surrogate` needs `unlabelled`"):
            onnxbound.certify(network, rows, tmp_path / "c", unlabelled=unlabelled, surrogate=surrogate)
