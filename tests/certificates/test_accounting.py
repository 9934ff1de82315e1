"""Everything that may depend on the rows is in the bytes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import onnxbound as onnxbound_package
from onnxbound.certificates.decisions import Evaluation
from onnxbound.certificates.places import cheapest
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import NetworkCode, encode
from onnxbound.codec.tensors import Levels
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.run.device import CPU
from tests.certificates.conftest import Case
from tests.cli.command import failing, onnxbound
from tests.nets import random_mlp


def bits_of(model: Path, data: Path, folder: Path, *options: str) -> int:
    outcome = onnxbound("certify", model, "--data", data, "--effort", "1", "-q", *options, "-o", folder, "--json")
    assert outcome.code == 0, outcome.stderr
    bits: int = json.loads(outcome.stdout)["bits"]
    assert bits == 8 * (folder / "code.bin").stat().st_size
    return bits


def test_a_mean_and_a_std_cost_what_their_places_are_worth(case: Case, tmp_path: Path) -> None:
    """Up to some bytes, on a net that decides the same on scaled rows."""
    rows = np.load(case / "train.npz")
    np.savez(tmp_path / "scaled.npz", x=((rows["x"] - 0.25) / 2).astype(np.float32), y=rows["y"])
    model = case / "model.onnx"
    free = bits_of(model, tmp_path / "scaled.npz", tmp_path / "free", "--scale", "1")
    options = ("--scale", "1", "--mean", "0.25", "--std", "2")
    paid = bits_of(model, case / "train.npz", tmp_path / "paid", *options)
    assert 0 <= paid - free <= 48


@pytest.mark.parametrize(
    ("mean", "std", "places"),
    [
        ((0.1307,), (0.3081,), (4, 8)),
        ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616), (4, 10)),
        ((2.5,), (7.0,), None),
    ],
)
def test_preprocessing_is_rounded_as_far_as_it_pays(
    mean: tuple[float, ...], std: tuple[float, ...], places: tuple[int, int] | None
) -> None:
    """What is left lies on a lattice that is neither finer nor coarser than the errors are worth."""
    name = "mnist_mlp" if len(mean) == 1 else "cifar10_cnn"
    network, asked = onnxbound_package.load(f"fixtures/{name}.onnx"), Preprocessing(1 / 255, mean, std)
    asked = replace(asked, layout=None if len(mean) == 1 else "nhwc")
    rows = open_rows(f"fixtures/data/{name.split('_')[0]}.npz", network, asked)
    original = Evaluation(CPU, 1)(network, rows)
    found = cheapest(network, rows, original, CPU, 1)
    assert (found.scale, found.layout) == (asked.scale, asked.layout)
    if places is None:
        assert (found.mean, found.std) == (mean, std)
        return
    numbers = np.array([*found.mean, *found.std])
    finest = next(k for k in range(20) if not (numbers * 2**k % 1).any())
    assert finest <= places[1]
    np.testing.assert_allclose(numbers, [*mean, *std], atol=2.0 ** -places[0])


def test_biases_are_paid(case: Case) -> None:
    """No hole can be left out of a code, and biases that differ make it longer."""
    described = describe(onnxbound_package.load(case / "model.onnx"))
    rounded = {name: np.rint(values / 0.125).astype(np.int64) for name, values in described.tensors.items()}
    parts = tuple(Levels(0.125, levels) for levels in rounded.values())
    silent = tuple(Levels(0.125, levels * (levels.ndim > 1)) for levels in rounded.values())
    architecture = described.architecture
    assert len(parts) == 4
    saved = len(encode(NetworkCode(architecture, parts))) - len(encode(NetworkCode(architecture, silent)))
    assert 8 * saved >= sum(levels.size for levels in rounded.values() if levels.ndim == 1)
    with pytest.raises(ValueError, match="shorter"):
        encode(NetworkCode(architecture, parts[:-1]))


def test_a_net_too_large_for_its_rows_is_told_so_early(tmp_path: Path) -> None:
    """Before any search: how many bits the rows allow, and what to do instead."""
    arguments = ("fixtures/mnist_mlp.onnx", "--data", "fixtures/data/mnist.npz", "--scale", "1/255", "--limit", "100")
    error = failing("certify", *arguments, "-o", tmp_path / "c")
    assert error["code"] == "certify-vacuous"
    assert "52,650 parameters" in error["message"]
    assert "100 rows with 0 errors allow" in error["problems"][0]["why"]
    assert not (tmp_path / "c").exists()


def test_shuffled_labels_give_a_vacuous_certificate(tmp_path: Path) -> None:
    """A net that has learnt labels by heart: a certificate, and it says that it is worth nothing."""
    random = np.random.default_rng(3)
    x = random.normal(size=(400, 10)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=random.integers(0, 4, 400))
    model = random_mlp(tmp_path / "net.onnx", (10, 6, 4), seed=1)
    learnt = onnxbound("certify", model, "--data", tmp_path / "rows.npz", "--effort", "1", "-q", "-o", tmp_path / "c")
    assert learnt.code == 3 or "the statement is vacuous" in learnt.stdout
    outcome = onnxbound(
        "certify", "fixtures/cifar10_cnn_shuffled.onnx", "--data", "fixtures/data/cifar10.npz", "--layout", "nhwc",
        "--labels", "fixtures/data/cifar10_shuffled_labels.npy", "--scale", "1/255", "--mean", "0.4914,0.4822,0.4465",
        "--std", "0.2471,0.2435,0.2616", "-o", tmp_path / "d",
    )  # fmt: skip
    assert outcome.code == 3
    assert "vacuous" in outcome.stderr
