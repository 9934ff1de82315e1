"""Theorem 4.1, explicit: when it is refused, and its arithmetic on a net small enough to follow."""

from dataclasses import replace
from math import ceil, inf, log, log2, prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.settings import Settings
from onnxbound.bounds.arora2018 import (
    LayerCondition,
    failure_per_pair,
    layer_epsilons,
    projected_layers,
    theorem_4_1,
)
from onnxbound.bounds.bound import Bound
from onnxbound.bounds.norms import layer_norms
from onnxbound.bounds.occam import description_gap
from onnxbound.data.open import open_rows
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.bounds.nets import conv_net, two_layers
from tests.linear.test_measure import net
from tests.nets import write_model

CONDITION = LayerCondition(layer_cushion=0.5, minimal_interlayer_cushion=0.25, contraction=1.5, beta=1.0)
MARGINS = np.array([3.0] * 900_000 + [0.1] * 100_000)


def bound(network: Network, condition: LayerCondition = CONDITION, **changes: Any) -> Bound:
    given: dict[str, Any] = {
        "between_contraction": 1.5, "margins": MARGINS, "gamma": 2.0, "max_logit": 4.0, "exact": True, "delta": 0.06,
        "zeta": 0.0, "chance": 0.5,
    }  # fmt: skip
    norms = [layer_norms(layer) for layer in network.layers]
    return theorem_4_1(network, norms, [condition] * network.depth, **(given | changes))


def test_value_by_hand(tmp_path: Path) -> None:
    network = two_layers(tmp_path)
    m, d, h, delta = len(MARGINS), 2, 3, 0.06
    epsilon = 2 / (sqrt(2) * 4)
    own = min(1.0, epsilon * 0.5 * 0.25 / (6 * 1.5 * d))
    failure = delta / 3 / (6 * d**2 * h**2 * m)
    k = ceil(log(4 / failure) / ((own / 2) ** 2 / 4 - (own / 2) ** 3 / 6))
    bits = 0
    for layer, bias in zip(network.layers, (0, 2), strict=True):
        width = ceil(log2(2 * ceil(layer.parameters / own) + 1))
        bits += 128 + 32 * bias + min(k * width, 32 * layer.parameters)
    found = bound(network)
    assert found.value == pytest.approx(0.1 + description_gap(bits, delta / 3, m), rel=1e-12)
    assert found.met is None
    assert "which was not measured" in found.met_reason
    more = bound(network, zeta=0.125)
    assert more.value == pytest.approx(found.value + 0.125, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exact": False}, "estimates"),
        ({"gamma": 8.0}, "gamma is above"),
        ({"condition": replace(CONDITION, layer_cushion=0.0)}, "a cushion is 0"),
        ({"condition": replace(CONDITION, minimal_interlayer_cushion=None)}, "a cushion is 0 or undefined"),
    ],
)
def test_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    found = bound(two_layers(tmp_path), **change)
    assert found.met is False
    assert found.value is None
    assert found.vacuous
    assert reason in found.met_reason


def test_refused_on_graphs(tmp_path: Path) -> None:
    assert "chains" in bound(net(tmp_path / "net.onnx", "residual")).met_reason


def test_on_shared_kernels(tmp_path: Path) -> None:
    """A convolution's eps_i is smaller by sqrt(p_i) and by the root of the patches that an entry is in."""
    network = conv_net(tmp_path)
    epsilons = layer_epsilons(network, [CONDITION] * network.depth, 1.5, 0.3)
    for layer, own in zip(network.layers, epsilons, strict=True):
        shared = prod(-(-k // s) for k, s in zip(layer.kernel, layer.stride, strict=True))
        expected = 0.3 * 0.5 * 0.25 / (6 * 1.5 * network.depth) / sqrt(layer.positions * shared)
        assert own == pytest.approx(expected, rel=1e-12)
    height = max(layer.operator.channels * layer.positions for layer in network.layers)
    assert failure_per_pair(network, 0.01, 1000) == 0.01 / (6 * network.depth**2 * height**2 * 1000)
    assert bound(network).value is not None


def opposed(folder: Path, last: float = 1.0) -> Network:
    """Two units that nearly cancel, and their mean, the single logit: 100 times smaller than what it is made of."""
    random = np.random.default_rng(3)
    large, small = np.linalg.qr(random.normal(size=(40, 2)))[0].T
    weight = np.stack([large + 0.01 * small, -large + 0.01 * small], axis=1) * last
    nodes = [helper.make_node("Gemm", ["x", "w"], ["h"]), helper.make_node("ReduceMean", ["h"], ["z"], axes=[1])]
    return load(write_model(folder / "n.onnx", nodes, {"w": weight.astype(np.float32)}, ["N", 40], output="z"))


def test_the_noise_of_the_last_layer_is_charged_for_what_follows_it(tmp_path: Path) -> None:
    """Every noise that Lemma 2 allows there moves the logits by less than gamma / sqrt 2."""
    network = opposed(tmp_path)
    (layer,) = network.layers
    weight = layer.operator.effective_weight()
    rows = np.random.default_rng(0).choice([-1, 1], size=(20, 2)) @ np.linalg.svd(weight)[2][:2]
    np.savez(tmp_path / "rows.npz", x=rows.astype(np.float32), y=(rows @ weight.T).mean(axis=1) > 0)
    opened = open_rows(tmp_path / "rows.npz", network)
    found = analyze(network, opened, Settings(probes="exact", measured=None, gamma_quantile=0.5, device="cpu"))
    (condition,) = found.conditions.layers
    outputs, logits = rows @ weight.T, (rows @ weight.T).mean(axis=1)
    ratio = np.linalg.norm(outputs, axis=1).max() / np.abs(logits).max() / sqrt(2)
    assert condition.tail == pytest.approx(ratio, rel=1e-5)
    assert ratio > 50
    gamma, largest = 0.9 * np.abs(logits).max(), np.abs(logits).max()
    (epsilon,) = layer_epsilons(network, [condition], 1.0, gamma / (sqrt(2) * largest))
    noise = epsilon * np.linalg.norm(weight) * sqrt(2) * np.linalg.norm(rows, axis=1)
    moved = noise[:, None] * np.array([[1, 1]]) / sqrt(2)  # both units by as much: the worst that the mean can see
    assert np.abs(moved.mean(axis=1)).max() <= gamma / sqrt(2)
    (free,) = layer_epsilons(network, [replace(condition, tail=1.0)], 1.0, gamma / (sqrt(2) * largest))
    assert np.abs(moved.mean(axis=1)).max() * free / epsilon > gamma / sqrt(2)


def test_without_a_tail_nothing_is_charged(tmp_path: Path) -> None:
    network = two_layers(tmp_path)
    np.savez(tmp_path / "rows.npz", x=np.eye(2, dtype=np.float32), y=[0, 1])
    found = analyze(network, open_rows(tmp_path / "rows.npz", network), Settings(probes="exact", device="cpu"))
    assert [condition.tail for condition in found.conditions.layers] == [1.0, 1.0]


def test_a_tail_without_a_lipschitz_constant_keeps_the_layer(tmp_path: Path) -> None:
    network = opposed(tmp_path)
    norms = [layer_norms(layer) for layer in network.layers]
    (layer,) = projected_layers(network, norms, [replace(CONDITION, tail=inf)], 1.5, 0.5, 0.01, 1000)
    assert (layer.projections, layer.epsilon) == (0, 0.0)


def test_logits_count_where_they_are_more_than_the_units(tmp_path: Path) -> None:
    network = opposed(tmp_path)
    assert failure_per_pair(replace(network, classes=7), 0.01, 1000) == 0.01 / (6 * 7**2 * 1000)
