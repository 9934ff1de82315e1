"""Theorem 4.1, explicit: when it is refused, and its arithmetic on a net small enough to follow."""

from dataclasses import replace
from math import ceil, log, log2, prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxbound.bounds.arora2018 import LayerCondition, failure_per_pair, layer_epsilons, theorem_4_1
from onnxbound.bounds.bound import Bound
from onnxbound.bounds.norms import layer_norms
from onnxbound.bounds.occam import description_gap
from onnxbound.graph.network import Network
from tests.bounds.nets import conv_net, two_layers
from tests.linear.test_measure import net

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
    assert "gaussian" in found.met_reason
    more = bound(network, zeta=0.125)
    assert more.value == pytest.approx(found.value + 0.125, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exact": False}, "estimates"),
        ({"gamma": 8.0}, "gamma exceeds"),
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
