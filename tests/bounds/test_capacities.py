"""Capacities as plotted: on numbers that can be checked by hand, and their invariances."""

from math import ceil, log, log10
from pathlib import Path

import numpy as np
import pytest

from onnxbound.bounds.arora2018 import LayerCondition, arora, effective_parameters
from onnxbound.bounds.bartlett2002 import l1_inf
from onnxbound.bounds.bartlett2017 import spec_l12
from onnxbound.bounds.bound import Bound, as_plotted, explicit
from onnxbound.bounds.neyshabur2015 import frobenius
from onnxbound.bounds.neyshabur2017 import spec_fro
from onnxbound.bounds.norms import layer_norms
from onnxbound.graph.network import Network
from tests.bounds.nets import W1, W2, conv_net, two_layers

GAMMA = 0.5


def capacities(network: Network, gamma: float = GAMMA) -> dict[str, float]:
    norms = [layer_norms(layer) for layer in network.layers]
    found = [
        l1_inf(norms, gamma),
        frobenius(norms, gamma),
        spec_l12(norms, gamma),
        spec_fro(network, norms, gamma),
    ]
    return {bound.name: value_of(bound) for bound in found}


def value_of(bound: Bound) -> float:
    assert bound.value is not None
    assert bound.log10 == pytest.approx(log10(bound.value), rel=1e-12)
    return bound.value


def test_norm_capacities_are_their_formulas(tmp_path: Path) -> None:
    spectral = [np.linalg.norm(w, 2) for w in (W1, W2)]
    fro = [np.linalg.norm(w) for w in (W1, W2)]
    l12 = [np.linalg.norm(w, axis=1).sum() for w in (W1, W2)]
    product = spectral[0] ** 2 * spectral[1] ** 2
    expected = {
        "l1-inf": (7 * 5) ** 2 / GAMMA**2,
        "frobenius": fro[0] ** 2 * fro[1] ** 2 / GAMMA**2,
        "spec-l12": product * sum((a / s) ** 2 for a, s in zip(l12, spectral, strict=True)) / GAMMA**2,
        "spec-fro": product * sum(h * (a / s) ** 2 for h, a, s in zip((3, 2), fro, spectral, strict=True)) / GAMMA**2,
    }
    assert capacities(two_layers(tmp_path)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("net", [two_layers, conv_net])
@pytest.mark.parametrize("t", [2.0**-9, 3.0, 1000.0])
def test_norm_capacities_are_invariant_under_scaling_the_function(tmp_path: Path, net: object, t: float) -> None:
    assert callable(net)
    assert capacities(net(tmp_path, t), GAMMA * t) == pytest.approx(capacities(net(tmp_path)), rel=1e-5)


def condition(**changes: float | None) -> LayerCondition:
    given = {"layer_cushion": 0.5, "minimal_interlayer_cushion": 0.25, "contraction": 2.0, "beta": 3.0}
    return LayerCondition(**(given | changes))


def test_effective_parameters(tmp_path: Path) -> None:
    dense = two_layers(tmp_path).layers[0]
    assert effective_parameters(dense, condition()) == pytest.approx(4 * 9 / (0.25 * 0.0625))
    conv = conv_net(tmp_path).layers[0]
    windows = ceil(3 / 2) ** 2
    assert effective_parameters(conv, condition()) == pytest.approx(4 * 9 * windows / (0.25 * 0.0625))
    for missing in ("layer_cushion", "minimal_interlayer_cushion", "contraction", "beta"):
        assert effective_parameters(dense, condition(**{missing: None})) is None
    assert effective_parameters(dense, condition(layer_cushion=0.0)) is None


def test_arora() -> None:
    assert value_of(arora([3.0, 5.0], max_logit=10.0, gamma=0.5)) == pytest.approx(400 * 8)
    scaled = arora([3.0, 5.0], max_logit=10.0 * 7, gamma=0.5 * 7)
    assert value_of(scaled) == pytest.approx(400 * 8)
    undefined = arora([3.0, None], 10.0, 0.5)
    assert undefined.value is None
    assert undefined.vacuous
    assert "layer 2" in undefined.met_reason


def test_a_capacity_beyond_the_range_of_floats_keeps_its_logarithm() -> None:
    bound = as_plotted("frobenius", 2000.0, "")
    assert bound.value is None
    assert bound.log10 == pytest.approx(2000 / log(10))
    assert bound.vacuous


def test_a_dead_layer_has_capacity_zero() -> None:
    bound = as_plotted("frobenius", -np.inf, "")
    assert bound.value == 0
    assert bound.log10 is None


def test_vacuous_begins_at_chance_for_bounds_and_capacities_always_are() -> None:
    how = {"delta": 0.1, "zeta": 0.0, "reference": "", "assumptions": (), "met": True, "reason": ""}
    assert explicit("x", 0.9, 0.9, **how).vacuous
    assert not explicit("x", 0.89, 0.9, **how).vacuous
    assert as_plotted("x", log(0.89), "").vacuous
