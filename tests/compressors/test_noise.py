"""Smoothness under the noise of compression: against its definition row by row, and what it decides of Theorem 4.1."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from onnxbound.compressors.budget import Budget
from onnxbound.compressors.method import Method, compress_layers
from onnxbound.compressors.noise import largest, smoothness_under_compression
from onnxbound.graph.load import load
from onnxbound.results import Float64Array
from tests.bounds.test_theorem_4_1 import bound
from tests.cli.command import failing, onnxbound, write_rows
from tests.nets import mlp, random_mlp

SIZES = [6, 30, 25, 4]
Layers = list[tuple[Float64Array, Float64Array]]


def run(layers: Layers, start: int, x: Float64Array) -> list[Float64Array]:
    """x^j for every j >= start, x being x^start; layers and outputs count from 1."""
    outputs = [x]
    for weight, bias in layers[start:]:
        outputs.append(weight @ np.maximum(outputs[-1], 0) + bias)
    return outputs


def by_definition(layers: Layers, changed: Layers, row: Float64Array) -> Float64Array:
    """1 / rho_{i,j}, the larger of both differences, by matrices."""
    d = len(layers)
    first = layers[0][0] @ row + layers[0][1]
    x = run(layers, 1, first)
    other = run(changed, 1, changed[0][0] @ row + changed[0][1])
    result = np.full((d, d), np.nan)
    for i in range(1, d):
        before = first if i == 1 else layers[i - 1][0] @ np.maximum(other[i - 2], 0) + layers[i - 1][1]
        jacobian = np.eye(len(x[i - 1]))
        noises = [before - x[i - 1], other[i - 1] - x[i - 1]]
        for j in range(i + 1, d + 1):
            jacobian = layers[j - 1][0] * (x[j - 2] > 0) @ jacobian
            found = [0.0]
            for eta in noises:
                residual = run(layers, i, x[i - 1] + eta)[j - i] - x[j - 1] - jacobian @ eta
                length = np.linalg.norm(eta)
                if length > 0:
                    scale = np.linalg.norm(x[i - 1]) / (length * np.linalg.norm(x[j - 1]))
                    found.append(float(np.linalg.norm(residual)) * scale)
            result[i - 1, j - 1] = max(found)
    return result


def test_against_the_definition(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", SIZES))
    compressed = compress_layers(network, Method("quantise"), {1: Budget("bits", 4), 2: Budget("bits", 3)})
    rows = np.random.default_rng(0).normal(size=(20, 6))
    done: list[int] = []
    found = smoothness_under_compression(network, compressed, [rows[:12], rows[12:]], done.append)
    assert done == [12, 20]
    layers, changed = (
        [(layer.operator.effective_weight(), np.asarray(layer.operator.bias)) for layer in net.layers]
        for net in (network, compressed.numpy())
    )
    expected = np.stack([by_definition(layers, changed, row) for row in rows])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert (expected[:, 0, 1] > 0).any()
    worst = largest(found, compressed)
    assert worst.largest_inverse == pytest.approx(np.nanmax(expected), rel=1e-9)
    assert (worst.rows, worst.projected) == (20, 2)


def test_where_no_gate_flips_there_is_no_residual(tmp_path: Path) -> None:
    """Biases so large that every unit is open, with the noise and without."""
    random = np.random.default_rng(1)
    weights = [(random.normal(size=(o, i)), np.full(o, 1000.0)) for i, o in itertools.pairwise([6, 8, 4])]
    network = load(mlp(tmp_path / "net.onnx", weights))  # type: ignore[arg-type]
    compressed = compress_layers(network, Method("matrix-project"), {1: Budget("keep", 0.5)})
    found = smoothness_under_compression(network, compressed, [random.normal(size=(5, 6))], lambda _: None)
    assert np.nanmax(found) < 1e-9
    assert largest(found, compressed).projected == 1


def test_without_noise_there_is_no_condition(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", SIZES))
    compressed = compress_layers(network, Method("matrix-project"), {})
    found = smoothness_under_compression(network, compressed, [np.ones((2, 6))], lambda _: None)
    assert np.nanmax(found) == 0
    assert largest(found, compressed).projected == 0


def test_it_decides_theorem_4_1(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", SIZES))
    compressed = compress_layers(network, Method("matrix-project"), {1: Budget("k", 20)})
    inverse = np.zeros((3, 3, 3))
    for value, met in ((1 / 9.01, True), (1 / 8.99, False), (np.inf, False)):
        inverse[1, 0, 2] = value
        found = bound(network, smoothness=largest(inverse, compressed))
        assert found.met is met
        assert "layers 1 to 3" in found.met_reason
    kept = compress_layers(network, Method("matrix-project"), {})
    assert bound(network, smoothness=largest(np.zeros((3, 3, 3)), kept)).met is True
    assert bound(network, smoothness=None).met is None


def test_on_the_command_line(tmp_path: Path) -> None:
    net, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    words = ("analyze", net, "--data", data, "--json")
    document = onnxbound(*words, "--noise", "compression", "--probes", "exact").json()
    (theorem,) = [entry for entry in document["bounds"] if entry["name"] == "theorem-4.1"]
    assert theorem["met"] is True
    assert "every layer stays" in theorem["met_reason"]
    at_will = onnxbound(*words, "--noise", "compression:10", "--probes", "exact").json()
    (theorem,) = [entry for entry in at_will["bounds"] if entry["name"] == "theorem-4.1"]
    assert theorem["met"] is None
    assert at_will["pairs"][0]["smoothness_inverse"]["max"] > 0
    assert at_will["pairs"][0]["smoothness_inverse"]["probes"] == 2
    assert "the noise of compression" in onnxbound(*words[:-1], "--noise", "compression:10").stdout
    for noise in ("compression:0", "compression:x", "magic:1", "gaussian:x"):
        assert failing(*words[:-1], "--noise", noise)["code"] == "usage"
    assert failing(*words[:-1], "--noise", "compression", "--form", "linear")["code"] == "usage"
