"""One weight under two names, and weights that are nearly the same."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxbound.graph.load import load
from tests.nets import mlp

WEIGHT = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)


def parameters(path: Path, second: np.ndarray) -> int:
    return load(mlp(path, [(WEIGHT, None), (second, None)])).parameters


@pytest.mark.parametrize("second", [WEIGHT, WEIGHT.T], ids=["equal", "transposed"])
def test_a_weight_that_stands_there_twice_counts_once(tmp_path: Path, second: np.ndarray) -> None:
    assert parameters(tmp_path / "net.onnx", second) == WEIGHT.size


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (150, 151), (299, 298), (299, 299)])
@pytest.mark.parametrize("turned", [False, True])
def test_one_entry_makes_another_weight(tmp_path: Path, place: tuple[int, int], *, turned: bool) -> None:
    other = (WEIGHT.T if turned else WEIGHT).copy()
    other[place] += 1
    assert parameters(tmp_path / "net.onnx", other) == 2 * WEIGHT.size


def test_two_names_of_the_same_bytes_are_mapped_once(tmp_path: Path) -> None:
    path = mlp(tmp_path / "net.onnx", [(WEIGHT, None), (WEIGHT, None)])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="net.data", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    for entry, other in zip(
        model.graph.initializer[1].external_data, model.graph.initializer[0].external_data, strict=True
    ):
        entry.value = other.value
    path.write_bytes(model.SerializeToString())
    network = load(path)
    assert np.shares_memory(network.layers[0].operator.weight, network.layers[1].operator.weight)
    assert network.parameters == WEIGHT.size
