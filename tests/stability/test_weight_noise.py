"""Weight-noise sensitivity against every derivative taken one by one, against drawn noise, and against cushions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxbound.data.rows import Batch
from onnxbound.graph.layer import Layer
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.measure import measure
from onnxbound.linear.programme import Programme
from onnxbound.results import Estimate, Float64Array, Measured
from onnxbound.rng import normal_noise
from onnxbound.stability.row_margins import margins
from onnxbound.stability.weight_noise import sensitivities, weight_noise_sensitivity
from onnxbound.stability.weight_noise_errors import errors_under_weight_noise, noisy_logits
from tests.linear.test_measure import NETS, net, node
from tests.nets import mlp, random_mlp, write_model
from tests.oracle.models import fixtures
from tests.stability.properties import arrays_of

MORE = {
    "grouped, pooled to the logits": ["N", 4, 5, 6],
    "depthwise, strided": ["N", 3, 6, 6],
    "positions, averaged": ["N", 3, 5],
    "many positions": ["N", 30, 2],
    "single logit": ["N", 5],
    "tied": ["N", 5],
    "batch norm": ["N", 5],
    "smooth": ["N", 5],
}


def network_of(folder: Path, kind: str) -> Network:
    """One of the nets of `tests.linear.test_measure`, or of those that only matter here."""
    if kind in NETS:
        return net(folder / "net.onnx", kind)
    random = np.random.default_rng(3)

    def weight(*shape: int) -> NDArray[np.float32]:
        return (random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants: dict[str, Any] = {"w": weight(5, 5), "b": weight(5), "v": weight(5, 3)}
    if kind == "grouped, pooled to the logits":
        constants = {"k": weight(6, 2, 2, 3), "c": weight(6), "l": weight(4, 3, 1, 2)}
        nodes = [
            node("Conv", "x k c", "x1", group=2, pads=[1, 0, 0, 1]),
            node("Relu", "x1", "a"),
            node("Conv", "a l", "x2", group=2, strides=[2, 1], dilations=[1, 2]),
            node("GlobalAveragePool", "x2", "m"),
            node("Flatten", "m", "logits"),
        ]
    elif kind == "depthwise, strided":
        constants = {"k": weight(6, 1, 3, 3), "c": weight(6), "w": weight(24, 3)}
        nodes = [
            node("Conv", "x k c", "x1", group=3, strides=[2, 2]),
            node("LeakyRelu", "x1", "a", alpha=0.2),
            node("Flatten", "a", "f"),
            node("MatMul", "f w", "logits"),
        ]
    elif kind in ("positions, averaged", "many positions"):
        constants = {"w": weight(5, 5) if kind == "positions, averaged" else weight(2, 5), "v": weight(5, 3)}
        nodes = [
            node("MatMul", "x w", "x1"),
            node("Relu", "x1", "a"),
            node("MatMul", "a v", "x2"),
            node("ReduceMean", "x2", "logits", axes=[1], keepdims=0),
        ]
    elif kind == "single logit":
        constants["z"] = weight(5, 1)
        nodes = [node("Gemm", "x w b", "x1"), node("Relu", "x1", "a"), node("Gemm", "a z", "logits")]
    elif kind == "tied":
        nodes = [
            node("Gemm", "x w b", "x1"),
            node("Relu", "x1", "a"),
            node("Gemm", "a w b", "x2"),
            node("Relu", "x2", "c"),
            node("MatMul", "c v", "logits"),
        ]
    elif kind == "batch norm":
        constants |= {"s": np.array([0.2, 3, -1, 1, 5], np.float32), "q": np.array([1, 2, 0.5, 1, 4], np.float32)}
        nodes = [
            node("Gemm", "x w b", "x1"),
            node("BatchNormalization", "x1 s b b q", "y1"),
            node("Relu", "y1", "a"),
            node("MatMul", "a v", "logits"),
        ]
    else:
        nodes = [node("Gemm", "x w b", "x1"), node("Sigmoid", "x1", "a"), node("MatMul", "a v", "logits")]
    return load(write_model(folder / "net.onnx", nodes, constants, MORE[kind]))


def batches_of(x: NDArray[Any], size: int = 64, labels: NDArray[np.int64] | None = None) -> list[Batch]:
    labels = np.zeros(len(x), np.int64) if labels is None else labels
    places = [slice(start, start + size) for start in range(0, len(x), size)]
    return [Batch(np.arange(len(x))[part], x[part], labels[part]) for part in places]


def rows_for(network: Network, count: int) -> NDArray[np.float32]:
    return np.random.default_rng(8).normal(size=(count, *network.input_shape)).astype(np.float32)


def logits(network: Network, x: NDArray[Any], layer: Layer | None = None, change: Float64Array | None = None) -> Any:
    """f(x) in float64, with a change of one layer's A."""
    steps = [
        replace(step, operator=replace(step.operator, weight=step.operator.effective_weight() + change, scale=None))
        if layer is not None and step.output == layer.output
        else step
        for step in network.steps
    ]
    double = replace(network, steps=tuple(steps)).cast(np.float64)
    return linearise(double, x.astype(np.float64), {network.output}).values[network.output]


def one_by_one(network: Network, x: NDArray[Any]) -> Float64Array:
    """The definition, with df/dA from one difference per entry: exact while no gate flips, f being linear in A^i."""
    clean, result = logits(network, x), np.empty((len(x), network.depth))
    for layer in network.layers:
        shape, total = layer.operator.weight.shape, np.zeros(len(x))
        for place in np.ndindex(shape):
            unit = np.zeros(shape)
            unit[place] = 1e-6
            total += np.sum(((logits(network, x, layer, unit) - clean) / 1e-6) ** 2, axis=1)
        norm = np.linalg.norm(layer.operator.effective_weight())
        result[:, layer.index - 1] = norm * np.sqrt(total / np.prod(shape)) / np.linalg.norm(clean, axis=1)
    return result


@pytest.mark.parametrize("kind", [*NETS, *MORE])
def test_it_is_what_every_single_derivative_makes_it(tmp_path: Path, kind: str) -> None:
    network = network_of(tmp_path, kind)
    x = rows_for(network, 4)
    found = sensitivities(network, batches_of(x, 3), seed=0)
    np.testing.assert_allclose(found.values, one_by_one(network, x), rtol=2e-4)
    np.testing.assert_array_equal(found.standard_errors, 0)
    assert all(isinstance(found.of(layer.index), Measured) for layer in network.layers)


@pytest.mark.parametrize("kind", ["residual", "grouped, pooled to the logits", "tied"])
def test_it_is_the_rms_change_under_drawn_noise(tmp_path: Path, kind: str) -> None:
    """1,000 draws per layer of relative length 1e-5; five standard errors, so one run in 10^5 would fail by chance."""
    network, random = network_of(tmp_path, kind), np.random.default_rng(1)
    x = rows_for(network, 3)
    clean, found = logits(network, x), sensitivities(network, batches_of(x), seed=0).values
    for layer in network.layers:
        weight, drawn = layer.operator.effective_weight(), []
        for _ in range(1000):
            g = random.normal(size=weight.shape)
            moved = logits(network, x, layer, 1e-5 * np.linalg.norm(weight) * g / np.linalg.norm(g)) - clean
            drawn.append(np.sum(moved**2, axis=1) / np.sum(clean**2, axis=1) / 1e-10)
        expected, error = np.mean(drawn, axis=0), np.std(drawn, axis=0) / np.sqrt(1000)
        assert np.all(np.abs(found[:, layer.index - 1] ** 2 - expected) <= 5 * error)
        assert np.all(error <= 0.06 * expected)


@pytest.mark.parametrize("sizes", [[6, 7, 5, 4, 3], [9, 40, 2]])
def test_of_dense_layers_it_is_made_of_cushions(tmp_path: Path, sizes: list[int]) -> None:
    """1 / (mu_i mu_{i,d} sqrt(h_in h_out)) in the affine form, with mu_{d,d} = 1 / sqrt(h_d)."""
    network = load(random_mlp(tmp_path / "net.onnx", sizes, seed=4))
    x, double = rows_for(network, 6), network.cast(np.float64)
    programme = Programme("affine", 1, exact_pairs=True, exact_output=True, radius=0.1, output_only=True, seed=0)
    measurement = measure(double, programme, np.arange(6), x.astype(np.float64))
    cushions = arrays_of(double, measurement, programme)
    found = sensitivities(network, batches_of(x), seed=0).values
    for layer in network.layers:
        height, width = layer.operator.weight.shape
        to_output = cushions["interlayer_cushion"][:, layer.index - 1, -1]
        to_output = np.full(6, height**-0.5) if layer.index == network.depth else to_output
        own = cushions["layer_cushion"][:, layer.index - 1]
        expected = 1 / (own * to_output * np.sqrt(width * height))
        np.testing.assert_allclose(found[:, layer.index - 1], expected, rtol=2e-4)


def test_nothing_moves_a_dead_layer_and_no_change_is_relative_to_zero(tmp_path: Path) -> None:
    """Row 0 kills layer 2, row 1 leaves layer 1 no input; without the last bias both have no logits at all."""
    first, second = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 2.0], [3.0, -1.0]])
    x = np.array([[-1, -2], [0, 0], [1, 2]], np.float32)
    biased = load(mlp(tmp_path / "biased.onnx", [(first, None), (second, np.array([1.0, -2.0]))]))
    found = sensitivities(biased, batches_of(x), seed=0).values
    np.testing.assert_array_equal(found[:2], 0)
    assert np.all(found[2] > 0)
    unbiased = load(mlp(tmp_path / "unbiased.onnx", [(first, None), (second, None)]))
    found = sensitivities(unbiased, batches_of(x), seed=0).values
    assert np.isnan(found[:2]).all()
    assert np.all(found[2] > 0)


def test_undefined_without_logits_and_zero_without_gradient() -> None:
    found = weight_noise_sensitivity(3.0, 4, np.array([2.0, 0.0, 2.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_array_equal(found, [3.0, 0.0, np.nan, np.nan])


@pytest.mark.parametrize("classes", [11, 40])
def test_directions_have_no_bias_and_know_their_error(tmp_path: Path, classes: int) -> None:
    """500 frames at one and the same row: mean squares within five standard errors, spread within a fifth."""
    network = load(random_mlp(tmp_path / "net.onnx", [4, 6, classes], seed=5))
    x = np.repeat(rows_for(network, 1), 500, axis=0)
    found, exact = sensitivities(network, batches_of(x), seed=1), one_by_one(network, x[:1])[0]
    assert isinstance(found.of(1), Estimate)
    squares = found.values[:, 0] ** 2
    spread = squares.std() / np.sqrt(500)
    assert abs(squares.mean() - exact[0] ** 2) < 5 * spread
    assert spread < 0.02 * exact[0] ** 2
    assert np.sqrt(np.mean(found.standard_errors[:, 0] ** 2)) == pytest.approx(found.values[:, 0].std(), rel=0.2)
    # Every direction moves the last layer alike: its |G_k| is |a| for any unit cotangent.
    np.testing.assert_allclose(found.values[:, 1], exact[1], rtol=1e-4)


def test_threads_change_nothing() -> None:
    (model,) = (model for model in fixtures() if model.name == "cifar10_cnn")
    network = load(model.path)
    x, labels = model.rows(np.arange(40))
    batches = batches_of(x, labels=labels)
    one, three = (sensitivities(network, batches, seed=0, threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(one.values, three.values)
    shares = [errors_under_weight_noise(network, batches, seed=0, draws=2, radius=1, threads=n).noisy for n in (1, 3)]
    np.testing.assert_array_equal(*shares)
    assert shares[0].max() > 0.1


def test_rows_are_independent_of_batches_and_each_other(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [4, 6, 12], seed=5))
    x = rows_for(network, 20)
    whole = sensitivities(network, batches_of(x), seed=1)
    for size in (1, 7):
        parts = sensitivities(network, batches_of(x, size), seed=1)
        np.testing.assert_allclose(parts.values, whole.values, rtol=1e-5)
    np.testing.assert_array_equal(whole.index, np.arange(20))
    assert not np.allclose(sensitivities(network, batches_of(x), seed=2).values, whole.values)


@pytest.mark.parametrize("kind", ["chain", "residual", "grouped, pooled to the logits", "tied", "batch norm"])
def test_errors_are_those_of_each_noisy_net(tmp_path: Path, kind: str) -> None:
    network = network_of(tmp_path, kind)
    x = rows_for(network, 50)
    clean = logits(network, x)
    labels = clean.argmax(axis=1)
    labels[:3] = clean[:3].argmin(axis=1)
    found = errors_under_weight_noise(network, batches_of(x, 20, labels), seed=4, draws=2, radius=1)
    assert found.clean == np.mean(~(margins(clean, labels) > 0)) >= 3 / 50
    assert found.rows == 50
    for layer in network.layers:
        weight = layer.operator.effective_weight()
        for draw in range(2):
            units = np.arange(len(weight))
            g = normal_noise(4, (3 << 32) + layer.index, units, draw, weight[0].size).astype(np.float64)
            noise = np.linalg.norm(weight) / np.linalg.norm(g) * g.reshape(weight.shape)
            wrong = np.mean(~(margins(logits(network, x, layer, noise), labels) > 0))
            assert found.noisy[layer.index - 1, draw] == pytest.approx(wrong)
    assert found.noisy.max() > found.clean


def test_a_tie_and_a_logit_that_overflows_are_errors(tmp_path: Path) -> None:
    equal = load(mlp(tmp_path / "equal.onnx", [(np.zeros((2, 3)), np.ones(2))]))
    x = np.ones((4, 3), np.float32)
    found = errors_under_weight_noise(equal, batches_of(x), seed=0, draws=1)
    assert found.clean == 1
    assert found.noisy.tolist() == [[1.0]]
    near = np.array([[1.0, 1, 1], [-1, -1, -1]]) * 6e37
    broken = load(mlp(tmp_path / "broken.onnx", [(near, np.zeros(2)), (np.eye(2) * 1.8, np.zeros(2))]))
    found = errors_under_weight_noise(broken, batches_of(x), seed=0, draws=8, radius=2)
    assert found.clean == 0
    assert found.noisy[0].max() == 1


@pytest.mark.parametrize("name", ["cifar10_alexnet", "cifar10_resnet"])
def test_short_noise_moves_trained_nets_as_far_as_it_says(name: str) -> None:
    """48 draws of relative length 0.002 at 4 rows; five standard errors, one run in 10^5 would fail by chance."""
    (model,) = (model for model in fixtures() if model.name == name)
    network = load(model.path)
    x, _ = model.rows(np.arange(4))
    expected = sensitivities(network, batches_of(x), seed=0).values ** 2
    clean, *noisy = noisy_logits(network.cast(np.float32), x, seed=0, draws=48, radius=0.002, threads=None)
    moved = np.sum((np.array(noisy) - clean) ** 2, axis=2) / np.sum(clean**2, axis=1) / 0.002**2
    drawn = moved.reshape(network.depth, 48, 4)
    error = drawn.std(axis=1).T / np.sqrt(48)
    assert np.all(np.abs(drawn.mean(axis=1).T - expected) < 5 * error + 0.01 * expected)
    assert np.median(error / expected) < 0.15
