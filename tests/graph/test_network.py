"""What the network says of its own structure, on nets small enough to see it."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.nets import random_mlp, write_model

EYE = np.eye(4, dtype=np.float32)
CONSTANTS = {"v": EYE, "w": EYE, "u": EYE, "t": np.ones((5, 3), np.float32), "two": np.float32(2)}


def node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def net(path: Path, *nodes: NodeProto) -> Network:
    return load(write_model(path / "net.onnx", nodes, CONSTANTS, ["N", 4]))


@pytest.fixture
def residual(tmp_path: Path) -> Network:
    """x1 -> a; x2 = w a; r = a + x2; logits = u relu(r)."""
    return net(
        tmp_path,
        node("MatMul", "x v", "x1"),
        node("Relu", "x1", "a"),
        node("MatMul", "a w", "x2"),
        node("Add", "a x2", "r"),
        node("Relu", "r", "b"),
        node("MatMul", "b u", "logits"),
    )


@pytest.fixture
def parallel(tmp_path: Path) -> Network:
    """x1 and x2 both read x and never each other; they meet in a Concat; 2 * pooled behind it."""
    return net(
        tmp_path,
        node("MatMul", "x v", "x1"),
        node("MatMul", "x w", "x2"),
        node("LeakyRelu", "x2", "l", alpha=-3.0),
        node("Concat", "x1 l", "c", axis=1),
        node("Relu", "c", "g"),
        node("Mul", "g two", "m"),
        node("ReduceMean", "m", "mean", axes=[1], keepdims=1),
        node("Concat", "mean x1", "s", axis=1),
        node("MatMul", "s t", "logits"),
    )


def test_chain(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [6, 5, 4, 3]))
    assert network.topology == "chain"
    assert network.depth == 3
    assert [layer.name for layer in network.layers] == ["layer1", "layer2", "layer3"]
    assert [layer.gate for layer in network.layers] == [("x1", "a2"), ("x2", "a3"), None]
    assert [dict(layer.between) for layer in network.layers] == [{}, {1: 1.0}, {2: 1.0}]
    assert [network.has_path(i, j) for i, j in ((1, 2), (1, 3), (2, 3), (2, 1), (2, 2))] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert network.target(2) == "x2"
    assert network.target(3) == "logits"
    assert dict(network.tail_lipschitz) == {3: 1.0}


def test_residual(residual: Network) -> None:
    assert residual.topology == "graph"
    # Two ways lead from x^1 to the last layer: around the second layer (constant 1) and through it.
    assert [dict(layer.between) for layer in residual.layers] == [{}, {1: 1.0}, {1: 1.0, 2: 1.0}]
    assert residual.sources["r"] == (1, 2)
    assert residual.sources["logits"] == (1, 2, 3)
    assert residual.layers[1].gate == ("r", "b")
    assert residual.has_path(1, 3)


def test_parallel_branches(parallel: Network) -> None:
    assert parallel.topology == "graph"
    assert not parallel.has_path(1, 2)
    assert parallel.has_path(1, 3)
    assert parallel.has_path(2, 3)
    assert parallel.sources["l"] == (2,)
    # The mean over 8 numbers has norm 8^-1/2; the factor 2 and the slope 3 multiply; the shortcut from x^1 adds 1.
    expected = {1: 2 / sqrt(8) + 1, 2: 3 * 2 / sqrt(8)}
    assert dict(parallel.layers[2].between) == pytest.approx(expected, rel=1e-12)
    assert [layer.gate for layer in parallel.layers] == [("c", "g"), ("x2", "l"), None]


def test_weights_are_cast_and_the_network_stays_as_it_was(residual: Network) -> None:
    double = residual.cast(np.float64)
    assert double.layers[0].operator.weight.dtype == np.float64
    assert residual.layers[0].operator.weight.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "version", "producer"),
    [
        ("pytorch", "2.13.0", "pytorch 2.13.0"),
        ("tf2onnx", "1.17.0 None", "tf2onnx 1.17.0"),
        ("tf2onnx", "1.17.0 a1b2c3", "tf2onnx 1.17.0 a1b2c3"),
        ("skl2onnx", "", "skl2onnx"),
        ("", "", ""),
    ],
)
def test_producer(tmp_path: Path, name: str, version: str, producer: str) -> None:
    path = random_mlp(tmp_path / "net.onnx", [6, 5, 4])
    model = onnx.load(path)
    model.producer_name, model.producer_version = name, version
    onnx.save(model, path)
    assert load(path).producer == producer
