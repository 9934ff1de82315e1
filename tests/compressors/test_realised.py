"""Errors at layers, the budget that a margin gives, and the factor 2 that [A] Definition 1 lacks."""

from math import e, prod, sqrt
from pathlib import Path

import numpy as np
import pytest

from onnxbound.bounds.arora2018 import LayerCondition, failure_per_pair
from onnxbound.compressors.budget import Budget
from onnxbound.compressors.margin_budget import Analysed, budgets_of_margin, eta_of_margin
from onnxbound.compressors.method import Method, compress_layers
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.compressors.realised import layer_errors
from onnxbound.errors import UsageError
from onnxbound.graph.load import load
from tests.bounds.nets import conv_net
from tests.compressors.statistics import require_rarer
from tests.nets import mlp, random_mlp

RANDOM = np.random.default_rng(7)


def test_errors_at_a_layer_against_matrices(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [6, 12, 4]))
    compressed = compress_layers(network, Method("quantise"), {1: Budget("bits", 3)})
    rows = RANDOM.normal(size=(8, 6)).astype(np.float32)
    found = layer_errors(compressed, rows, {})
    assert list(found) == [1]
    first, last = (layer.operator.effective_weight() for layer in network.layers)
    change = rows @ (compressed.weights["w1"].weight - first).T
    x = rows @ first.T + np.asarray(network.layers[0].operator.bias)
    np.testing.assert_allclose(found[1].relative, np.linalg.norm(change, axis=1) / np.linalg.norm(x, axis=1), rtol=1e-4)
    for row in range(8):
        jacobian = last * (x[row] > 0)
        scale = np.linalg.norm(first) * np.linalg.norm(jacobian) * np.linalg.norm(rows[row])
        assert found[1].epsilon[row] == pytest.approx(np.linalg.norm(jacobian @ change[row]) / scale, rel=1e-3)


def test_lemma_2_holds_on_a_convolution(tmp_path: Path) -> None:
    """eps = 1 with the explicit constant: at one row it is exceeded in at most eta of the draws, 300 of them."""
    network = load_wide_conv(tmp_path)
    rows = RANDOM.normal(size=(1, 6, 6, 6)).astype(np.float32)
    missed = 0
    for seed in range(300):
        method = Method("matrix-project", eta=0.2, seed=seed)
        compressed = compress_layers(network, method, {1: Budget("epsilon", 1.0)})
        assert compressed.of(network.layers[0]).method == "matrix-project"
        missed += bool(layer_errors(compressed, rows, {})[1].epsilon[0] >= 1.0)
    # Lemma 2 bounds each of the three logits' rows of J with probability 1 - eta.
    require_rarer(missed, 300, 3 * 0.2)


def load_wide_conv(folder: Path):  # type: ignore[no-untyped-def]
    from onnx import helper

    from tests.nets import write_model

    constants = {"k": RANDOM.normal(size=(8, 6, 3, 3)), "w": RANDOM.normal(size=(3, 8))}
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["logits"], transB=1),
    ]
    floats = {name: values.astype(np.float32) for name, values in constants.items()}
    return load(write_model(folder / "wide.onnx", nodes, floats, ["N", 6, 6, 6]))


def test_the_factor_2_of_definition_1() -> None:
    """f = (1.5 t, 0), g = (0.5 t, t): within gamma = t per logit, and all of f's margin of 1.5 gamma is gone."""
    t = 2.0
    broken = PairedLogits.of(np.array([[1.5 * t, 0.0]]), np.array([[0.5 * t, t]]), np.array([0]))
    assert broken.largest_change[0] <= t < broken.margin_before[0] == 1.5 * t
    assert broken.margin_after[0] == -0.5 * t
    assert broken.far_per_logit(t) == broken.far_in_norm(t) == 1
    near = PairedLogits.of(np.array([[1.5 * t, 0.0]]), np.array([[1.2 * t, 0.3 * t]]), np.array([0]))
    assert near.far_per_logit(t) == near.far_in_norm(t) == 0


def test_the_corrected_forms_lose_at_most_gamma() -> None:
    """100,000 random pairs of logits: where one of the forms holds, the margin falls by at most gamma."""
    gamma = 1.0
    f = RANDOM.normal(size=(100_000, 4))
    g = f + RANDOM.normal(size=f.shape) * 0.4
    found = PairedLogits.of(f, g, RANDOM.integers(0, 4, len(f)))
    lost = found.margin_before - found.margin_after
    in_norm, per_logit = found.distance <= gamma / sqrt(2), found.largest_change <= gamma / 2
    assert 1000 < in_norm.sum() < 99_000
    assert 0.9 < lost[in_norm].max() <= gamma + 1e-12
    assert 0.9 < lost[per_logit].max() <= gamma + 1e-12
    printed = found.largest_change <= gamma
    assert lost[printed].max() > 1.6 * gamma


MEASURED = Analysed([LayerCondition(0.5, 0.2, 1.5, 1.0)] * 2, 1.5, 10.0, 3.0, 1000, (), ())


def test_lemma_10_chooses_epsilon(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [6, 12, 4]))
    budgets = budgets_of_margin(network, network.layers, "matrix-project", 2.0, MEASURED)
    expected = 2.0 / (sqrt(2) * 10.0) * 0.5 * 0.2 / (6 * 1.5 * 2)
    assert {i: b.knob for i, b in budgets.items()} == {1: "epsilon", 2: "epsilon"}
    assert all(budget.value == pytest.approx(expected) for budget in budgets.values())
    assert eta_of_margin(network, 0.05, 1000) == failure_per_pair(network, 0.05, 1000)
    with pytest.raises(UsageError, match="vacuous"):
        budgets_of_margin(network, network.layers, "matrix-project", 20.0, MEASURED)
    zero = Analysed([LayerCondition(0.0, 0.2, 1.5, 1.0)] * 2, 1.5, 10.0, 3.0, 1000, (), ())
    with pytest.raises(UsageError, match="The margin allows no error"):
        budgets_of_margin(network, network.layers, "matrix-project", 2.0, zero)


def test_theorem_2_2_chooses_the_cut(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [6, 12, 4], biased=False))
    budgets = budgets_of_margin(network, network.layers, "svd", 2.0, MEASURED)
    size = prod(np.linalg.norm(layer.operator.effective_weight(), 2) for layer in network.layers)
    assert budgets[1].knob == "cut"
    assert budgets[1].value == pytest.approx(2.0 / (2 * sqrt(2) * e * 3.0 * 2 * size), rel=1e-6)


def test_a_margin_survives_on_a_linear_classifier(tmp_path: Path) -> None:
    """epsilon such that every logit of a row of norm 3 moves by at most gamma / 2."""
    weight = RANDOM.normal(size=(4, 6))
    network = load(mlp(tmp_path / "net.onnx", [(weight, None)]))
    (budget,) = budgets_of_margin(network, network.layers, "vector-project", 2.0, MEASURED).values()
    largest = np.linalg.norm(weight.astype(np.float32), axis=1).max()
    assert budget.value * largest * 3.0 == pytest.approx(1.0, rel=1e-6)


def test_epsilons_of_convolutions_are_smaller(tmp_path: Path) -> None:
    network = conv_net(tmp_path)
    budgets = budgets_of_margin(network, network.layers, "matrix-project", 2.0, MEASURED)
    assert budgets[1].value < budgets[2].value
