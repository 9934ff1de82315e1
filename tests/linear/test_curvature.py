"""Gauss-Newton matrix and gradient against differences of whole forward passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxbound
from onnxbound.graph.network import Network
from onnxbound.linear.curvature import Target, curvature, softmax
from onnxbound.linear.gradient import parameters
from onnxbound.linear.linearisation import linearise
from onnxbound.results import Float64Array
from tests.nets import random_mlp, write_model

ROWS, PROBES = 12, 4000


def residual_net(path: Path) -> Path:
    """Two convolutions, the second with a shortcut, and a dense layer."""
    random = np.random.default_rng(3)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["x1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["x1"], ["a2"]),
        helper.make_node("Conv", ["a2", "w2"], ["x2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["x2", "a2"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["gated"]),
        helper.make_node("Flatten", ["gated"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"], transB=1),
    ]
    shapes = {"w1": (3, 2, 3, 3), "b1": (3,), "w2": (3, 3, 3, 3), "w3": (4, 48), "b3": (4,)}
    constants = {name: random.normal(size=shape).astype(np.float32) / 3 for name, shape in shapes.items()}
    return write_model(path, nodes, constants, ["N", 2, 4, 4])


def with_parameters(network: Network, values: Float64Array) -> Network:
    """The network with another vector in place of `parameters`."""
    operators, place = {}, 0
    for layer in network.layers:
        weight, bias = layer.operator.weight, layer.operator.bias
        new = values[place : place + weight.size].reshape(weight.shape)
        place += weight.size
        if bias is not None:
            bias = values[place : place + bias.size]
            place += bias.size
        operators[layer.output] = replace(layer.operator, weight=new, bias=bias)
    assert place == values.size
    steps = (replace(step, operator=operators.get(step.output, step.operator)) for step in network.steps)
    return replace(network, steps=tuple(steps))


def logits(network: Network, rows: Float64Array) -> Float64Array:
    return linearise(network, rows, [network.output]).values[network.output]


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("kind", ["dense", "residual"])
def test_against_differences(kind: str, views: int, tmp_path: Path) -> None:
    """Along random directions: the gradient exactly, the curvature within five standard errors of its probes.

    A probe's value d^T J^T c c^T J d has at most the variance of a chi-squared variable with one degree of freedom, 2
    (d^T F d)^2 per row, so the mean over rows and probes has a relative error below sqrt(2 / PROBES) = 2.2 %.
    """
    path = tmp_path / "net.onnx"
    path = random_mlp(path, (6, 8, 7, 4)) if kind == "dense" else residual_net(path)
    network = onnxbound.load(path).cast(np.float64)
    generator = np.random.Generator(np.random.Philox(4))
    rows = generator.normal(size=(ROWS, *network.input_shape))
    at = parameters(network)
    seen = [rows, rows[..., ::-1]][:views]

    def mean(network: Network) -> Float64Array:
        return np.mean([logits(network, view) for view in seen], axis=0)

    output = mean(network)
    reference = output + generator.normal(size=output.shape)
    temperature = generator.uniform(0.5, 2, ROWS)
    temperature[3] = np.inf
    single = [view.astype(np.float32) for view in seen]
    parts = slice(7), slice(7, None)
    targets = [Target([view[part] for view in single], reference[part], temperature[part]) for part in parts]
    heat = temperature[:, None]
    q, p = softmax(output / heat), softmax(reference / heat)
    found = curvature(network.cast(np.float32), iter(targets), PROBES, generator)
    np.testing.assert_array_equal(found.matrix, found.matrix.T)
    for _ in range(4):
        direction = generator.normal(size=at.size)
        h = 1e-7
        moved, back = (mean(with_parameters(network, at + sign * h * direction)) for sign in (1, -1))
        derivative = (moved - back) / (2 * h) / heat
        assert found.gradient @ direction == pytest.approx(
            ((q - p) * derivative).sum() / ROWS, abs=1e-4 * np.abs((q - p) * derivative).sum() / ROWS
        )
        exact = ((q * derivative**2).sum() - ((q * derivative).sum(axis=1) ** 2).sum()) / ROWS
        assert direction @ found.matrix @ direction == pytest.approx(exact, rel=5 * np.sqrt(2 / PROBES))


def test_some_entries_alone(tmp_path: Path) -> None:
    """By the same signs as for all of them."""
    network = onnxbound.load(residual_net(tmp_path / "net.onnx")).cast(np.float32)
    random = np.random.default_rng(2)
    rows = random.normal(size=(ROWS, *network.input_shape)).astype(np.float32)
    target = Target([rows], random.normal(size=(ROWS, 4)), np.ones(ROWS))
    whole = curvature(network, iter([target]), 3, np.random.default_rng(1))
    entries = np.flatnonzero(random.random(whole.gradient.size) < 0.4)
    part = curvature(network, iter([target]), 3, np.random.default_rng(1), entries)
    np.testing.assert_allclose(part.matrix, whole.matrix[np.ix_(entries, entries)], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(part.gradient, whole.gradient[entries], rtol=1e-6)


def test_no_gradient_at_the_reference(tmp_path: Path) -> None:
    """Where the outputs are those wanted, nothing pulls."""
    network = onnxbound.load(random_mlp(tmp_path / "net.onnx", (6, 8, 4))).cast(np.float32)
    rows = np.random.default_rng(2).normal(size=(ROWS, 6)).astype(np.float32)
    reference = logits(network, rows).astype(np.float64)
    target = Target([rows], reference, np.ones(ROWS))
    found = curvature(network, iter([target]), 1, np.random.default_rng(1))
    assert np.abs(found.gradient).max() < 1e-6
    assert np.linalg.eigvalsh(found.matrix.astype(np.float64)).min() > -1e-5
