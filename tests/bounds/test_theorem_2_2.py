"""Theorem 2.2, explicit: the compressed net really keeps within its budget, and every bit is counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxbound.bounds.bound import Bound
from onnxbound.bounds.description import HEADER_BITS, exact_bits, other_bits
from onnxbound.bounds.neyshabur2017 import _describe, amplification, theorem_2_2
from onnxbound.bounds.norms import layer_norms
from onnxbound.bounds.occam import description_gap
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.stability.row_margins import margins
from tests.linear.test_measure import net
from tests.nets import mlp, random_mlp

KINDS = ("chain", "residual", "parallel", "convolutional")
ROWS = 40


def rows_of(network: Network) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(ROWS, *network.input_shape))


def values(network: Network, *names: str) -> list[NDArray[np.float64]]:
    found = linearise(network.cast(np.float64), rows_of(network), set(names)).values
    return [found[name] for name in names]


def bound(network: Network, gamma: float | None = None, *, delta: float = 0.05, bits: int = 0) -> tuple[Bound, float]:
    """The bound where every row is labelled as the net says, and its gamma: the median margin."""
    inputs = values(network, *(layer.input for layer in network.layers))
    norms = {i: np.linalg.norm(x.reshape(ROWS, -1), axis=1) for i, x in enumerate(inputs, start=1)}
    (logits,) = values(network, network.output)
    margin = margins(logits, logits.argmax(axis=1))
    gamma = gamma or float(np.median(margin))
    found = theorem_2_2(
        network,
        [layer_norms(layer) for layer in network.layers],
        lambda index: norms[index],
        margin,
        gamma,
        max_logit=float(np.linalg.norm(logits, axis=1).max()),
        delta=delta,
        chance=2 / 3,
        preprocessing_bits=bits,
    )
    return found, gamma


def bits_of(found: Bound) -> int:
    (counted,) = [text for text in found.assumptions if text.endswith("bits")]
    return int(counted.split()[-2])


@pytest.mark.parametrize("kind", KINDS)
def test_value_is_loss_plus_gap(tmp_path: Path, kind: str) -> None:
    network = net(tmp_path / "net.onnx", kind)
    found, gamma = bound(network)
    assert found.met
    (logits,) = values(network, network.output)
    margin = margins(logits, logits.argmax(axis=1))
    loss = float(np.mean(margin <= gamma + 1e-5 * np.linalg.norm(logits, axis=1).max()))
    assert 0.4 < loss < 0.6
    assert found.value == pytest.approx(loss + description_gap(bits_of(found), 0.05, ROWS), rel=1e-12)
    more, _ = bound(network, bits=64)
    assert bits_of(more) == bits_of(found) + 64
    assert more.value is not None
    assert found.value is not None
    assert more.value > found.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_perturbed_net_stays_within_the_budget_it_was_given(tmp_path: Path, kind: str) -> None:
    """Weights moved by random matrices of spectral norm e_i: the logits move by at most sum_i w_i |a^i|."""
    network = net(tmp_path / "net.onnx", kind).cast(np.float64)
    random = np.random.default_rng(1)
    norms = [layer_norms(layer) for layer in network.layers]
    before, *inputs = values(network, network.output, *(layer.input for layer in network.layers))
    largest = 0.0
    for _ in range(20):
        errors, steps = [], {}
        for layer in network.layers:
            change = random.normal(size=layer.operator.weight.shape)
            change *= 0.3 * layer_norms(layer).frobenius / np.linalg.norm(change)
            steps[layer.output] = replace(layer.operator, weight=layer.operator.weight + change)
            difference = replace(layer.operator, weight=change)
            units = np.eye(int(np.prod(layer.input_shape))).reshape(-1, *layer.input_shape)
            errors.append(float(np.linalg.norm(difference.linear(units).reshape(len(units), -1), 2)))
        other = replace(
            network, steps=tuple(replace(s, operator=steps.get(s.output, s.operator)) for s in network.steps)
        )
        (after,) = values(other, network.output)
        uppers = [own.spectral.upper.value for own in norms]
        factors = amplification(network, [u + e for u, e in zip(uppers, errors, strict=True)])
        budget = sum(
            e * f * np.linalg.norm(x.reshape(ROWS, -1), axis=1) for e, f, x in zip(errors, factors, inputs, strict=True)
        )
        used = np.linalg.norm(after - before, axis=1) / budget
        largest = max(largest, float(used.max()))
    assert largest <= 1
    assert largest > 0.01


def test_amplification_of_a_chain_is_the_product_of_the_norms(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [6, 5, 4, 3]))
    found = amplification(network, [2.0, 3.0, 5.0])
    assert found == pytest.approx([15, 5, 1], rel=1e-12)
    assert all(f >= exact for f, exact in zip(found, [15, 5, 1], strict=True))


def test_described_layers_are_within_their_share(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [40, 30, 3]))
    layer = network.layers[0]
    size = float(np.linalg.norm(layer.operator.weight, 2))
    bits = []
    for share in (1e-12, 1e-4, 0.01, 0.1, 0.5):
        code = _describe(layer, size, share)
        assert code.error <= share * size * (1 + 1e-9)
        bits.append(code.bits)
    assert bits == sorted(bits, reverse=True)
    assert bits[0] == HEADER_BITS + 32 * 40 * 30 + 30 * 32
    assert bits[-1] < bits[0] / 4


def test_a_layer_of_low_rank_is_cheaper_than_a_full_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    low = random.normal(size=(60, 2)) @ random.normal(size=(2, 80))
    full = random.normal(size=(60, 80))
    full *= np.linalg.norm(low, 2) / np.linalg.norm(full, 2)
    head = random.normal(size=(3, 60))
    first, second = (load(mlp(tmp_path / "net.onnx", [(w, None), (head, None)])).layers[0] for w in (low, full))
    size = float(np.linalg.norm(low, 2))
    assert _describe(first, size, 0.05).bits < 0.2 * _describe(second, size, 0.05).bits


def test_a_margin_too_large_for_the_net_is_not_met_or_vacuous(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [6, 5, 4, 3]))
    found, _ = bound(network, 1e-12)
    assert found.met, "kept exactly, every margin survives"
    assert bits_of(found) == sum(
        HEADER_BITS + exact_bits(layer.operator.effective_weight()) + 32 * layer.operator.channels
        for layer in network.layers
    )


def test_numbers_outside_the_layers_are_charged(tmp_path: Path) -> None:
    chain, residual = net(tmp_path / "a.onnx", "chain"), net(tmp_path / "b.onnx", "residual")
    assert other_bits(chain) == 0
    assert other_bits(residual) == 0, "LeakyRelu's slope is an attribute, no trained number"


def test_bits_of_numbers_that_float32_does_not_hold() -> None:
    assert exact_bits(np.array([0.5, 1 / 3])) == 128
    assert exact_bits(np.array([0.5, float(np.float32(1 / 3))])) == 64


@pytest.mark.parametrize("factor", [0.0, 1e-40])
def test_a_layer_that_is_nothing_is_described_exactly(tmp_path: Path, factor: float) -> None:
    random = np.random.default_rng(0)
    sizes = [(5, 6), (4, 5), (3, 4)]
    weights = [
        (random.normal(size=size) * (factor if i == 1 else 1), random.normal(size=size[0]))
        for i, size in enumerate(sizes)
    ]
    found, _ = bound(load(mlp(tmp_path / "net.onnx", weights)), gamma=0.1)
    assert bits_of(found) > 0
