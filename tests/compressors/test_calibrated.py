"""Layers rounded at calibration rows: their patches, their means, and the order of the layers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from onnxbound.compressors.calibrated import Calibration, at_inputs, patches
from onnxbound.compressors.sites import sites
from onnxbound.compressors.walk import Walk
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.run.device import resolve_device
from tests.nets import random_mlp, write_model

CPU = resolve_device("cpu")
RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A grouped convolution with strides and padding, one of 1 x 1, and MatMul with Add."""
    weights = {"w1": normal(6, 2, 3, 3), "b1": normal(6), "w2": normal(5, 6, 1, 1)}
    weights |= {"w3": normal(80, 4), "b3": normal(4)}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], group=2, strides=[2, 1], pads=[1, 0, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Flatten", ["r2"], ["f"]),
        helper.make_node("MatMul", ["f", "w3"], ["m"]),
        helper.make_node("Add", ["m", "b3"], ["logits"]),
    ]
    return write_model(tmp_path / "net.onnx", nodes, weights, ["N", 4, 7, 5])


def at(
    network: Network, rows: np.ndarray, weights: Mapping[str, np.ndarray], names: list[str]
) -> dict[str, np.ndarray]:
    """Tensors of a network that is handed weights."""
    walk = Walk(network, sites(network), dict(enumerate(names)), rows, CPU, 1)
    return {name: np.concatenate(list(walk.to(place, weights))) for place, name in enumerate(names)}


def test_sites(net: Path) -> None:
    found = sites(load(net))
    assert [(s.weight, s.bias, s.transposed) for s in found.values()] == [
        ("w1", "b1", False),
        ("w2", None, False),
        ("w3", "b3", True),
    ]


def test_patches_are_what_the_weight_meets(net: Path) -> None:
    """W times the patches at every position is the layer's output."""
    network = load(net)
    rows = normal(3, 4, 7, 5)
    values = at(network, rows, {}, ["x", "c1", "r1", "c2", "f", "logits"])
    for site in sites(network).values():
        layer = site.layer
        met = patches(site, values[layer.input], layer.positions, np.random.default_rng(0))
        units = site.matrix.reshape(len(met), -1, met.shape[2])
        found = np.einsum("gun,gsn->sgu", units, met).reshape(3, layer.positions, -1) + site.offset
        expected = values[layer.output].reshape(3, len(site.matrix), -1).swapaxes(1, 2)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_bias_keeps_the_mean_output(net: Path) -> None:
    network = load(net)
    site = sites(network)[1]
    x, z = normal(2, 300, 18) + 1, normal(2, 300, 18) + 1.2
    found = at_inputs(site, x, z, 4, 0)

    def mean(matrix: np.ndarray, offset: np.ndarray, of: np.ndarray) -> np.ndarray:
        parts = zip(np.split(matrix, 2), of, strict=True)
        return np.concatenate([part @ each.mean(axis=0) for part, each in parts]) + offset

    before, after = mean(site.matrix, site.offset, x), mean(found.grid.matrix(), found.offset, z)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
    assert not np.allclose(mean(found.grid.matrix(), site.offset, z), before, atol=1e-2)


def test_later_layers_make_up_for_earlier_ones(tmp_path: Path) -> None:
    """At 4 bits the logits are nearer to the original's than where each layer is rounded as if it were alone."""
    network = load(random_mlp(tmp_path / "net.onnx", [10, 60, 60, 60, 4]))
    rows = normal(500, 10)
    found = sites(network)
    calibration = Calibration(network, found, rows, CPU, 1, 0)
    together = calibration.rounded(dict.fromkeys(found, 4))
    alone = {index: calibration.rounded({index: 4})[index] for index in found}

    def error(rounded: dict) -> float:  # type: ignore[type-arg]
        feeds: dict[str, np.ndarray] = {}
        for index, each in rounded.items():
            feeds |= each.fed(found[index])
        before, after = (at(network, rows, f, ["logits"])["logits"] for f in ({}, feeds))
        return float(np.linalg.norm(before - after))

    assert error(together) < 0.9 * error(alone)
