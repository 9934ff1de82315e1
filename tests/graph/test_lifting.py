"""Graphs in which the batch is no first axis: read with one row in the batch, never where rows mix."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, helper

from onnxbound import Preprocessing, Settings, analyze, load, open_rows
from onnxbound.errors import ModelError
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from tests.nets import write_model

RANDOM = np.random.default_rng(8)
CONSTANTS = {
    "w": RANDOM.normal(size=(4, 4)).astype(np.float32),
    "b": RANDOM.normal(size=4).astype(np.float32),
    "tail": RANDOM.normal(size=(12, 5)).astype(np.float32),
    "flat": np.array([-1, 12]),
    "rows": np.array([3, 4]),
    "heads": np.array([3, -1, 2, 2]),
    "four": np.array([-1, 4]),
    "axes": np.array([0]),
    "last": np.array([-1]),
    "pick": np.array([[2], [0], [1]]),
    "half": np.float32(0.5),
}
X = RANDOM.normal(size=(7, 3, 4)).astype(np.float32)


def node(op_type: str, inputs: str, output: str, **attributes: object) -> NodeProto:
    return helper.make_node(op_type, inputs.split(), [output], **attributes)


MOVED = node("Transpose", "x", "t", perm=[1, 0, 2])
BACK = [node("Transpose", "y", "u", perm=[1, 0, 2]), node("Reshape", "u flat", "f"), node("MatMul", "f tail", "logits")]
MIDDLES = {
    "matmul": [node("MatMul", "t w", "m"), node("Add", "m b", "a"), node("Relu", "a", "y")],
    "gemm": [
        node("Reshape", "t four", "r"),
        node("Gemm", "r w b", "g", transB=1, alpha=0.5, beta=2.0),
        node("Tanh", "g", "h"),
        node("Unsqueeze", "h axes", "s"),
        node("Transpose", "s", "y", perm=[1, 0, 2]),
    ],
    "attention": [
        node("Reshape", "t heads", "h"),
        node("Transpose", "h", "q", perm=[1, 2, 0, 3]),
        node("Transpose", "h", "k", perm=[1, 2, 3, 0]),
        node("MatMul", "q k", "p"),
        node("Softmax", "p", "s", axis=3),
        node("MatMul", "s q", "v"),
        node("Transpose", "v", "o", perm=[2, 0, 1, 3]),
        node("Reshape", "o z", "y"),
    ],
    "einsum": [
        node("Einsum", "t t", "q", equation="sbi,tbi->bst"),
        node("Einsum", "q t", "o", equation="bst,tbi->sbi"),
        node("Einsum", "o w", "y", equation="sbi,ij->sbj"),
    ],
    "gather": [node("GatherND", "t pick", "g"), node("Sigmoid", "g", "g2"), node("Mul", "g2 half", "y")],
    "reduce": [node("ReduceMean", "t", "m", axes=[2], keepdims=1), node("Sub", "t m", "y")],
    "concat": [
        node("Slice", "t zero one", "first"),
        node("Slice", "t one end", "rest"),
        node("Concat", "rest first", "y", axis=0),
    ],
    "other ranks": [node("Reshape", "x2 three", "c"), node("Mul", "t c", "y")],
}
MORE = {
    "z": np.array([3, -1, 4]),
    "zero": np.array([0]),
    "one": np.array([1]),
    "end": np.array([3]),
    "three": np.array([3, 1, 1]),
    "x2": np.float32([1.0, -2.0, 3.0]),
}


def built(folder: Path, middle: str, batch: int | str) -> Path:
    return write_model(folder / "net.onnx", [MOVED, *MIDDLES[middle], *BACK], CONSTANTS | MORE, [batch, 3, 4], opset=13)


def logits(network: Network, x: NDArray[np.float64]) -> NDArray[np.float64]:
    return linearise(network.cast(x.dtype), x, {network.output}).values[network.output]


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize("middle", MIDDLES)
def test_values_and_tangents(tmp_path: Path, middle: str, batch: int | str) -> None:
    path = built(tmp_path, middle, batch)
    network = load(path)
    assert network.batch == 1
    assert network.one_row == (batch == "N")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"x": row[None]})[0] for row in X])
    np.testing.assert_allclose(logits(network, X), expected, rtol=1e-5, atol=1e-5)
    at, t, h = X.astype(np.float64), RANDOM.normal(size=X.shape), 1e-6
    quotient = (logits(network, at + h * t) - logits(network, at - h * t)) / (2 * h)
    linear = linearise(network.cast(np.float64), at).linearisation
    forward = linear.jvp(network.input, t[None], [network.output])[network.output][0]
    np.testing.assert_allclose(forward, quotient, atol=1e-6 * np.abs(quotient).max())
    c = RANDOM.normal(size=forward.shape)
    back = linear.vjp(network.output, c[None], [network.input])[network.input][0]
    assert np.vdot(forward, c) == pytest.approx(np.vdot(t, back))


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
@pytest.mark.parametrize("middle", ["attention", "gather"])
def test_they_are_analysed(tmp_path: Path, middle: str, engine: str) -> None:
    network = load(built(tmp_path, middle, "N"))
    np.savez(tmp_path / "rows.npz", x=X, y=np.arange(7) % 5)
    rows = open_rows(tmp_path / "rows.npz", network, Preprocessing())
    report = analyze(network, rows, Settings(engine=engine))  # type: ignore[arg-type]
    assert any("one row at a time" in warning for warning in report.warnings)
    assert all(layer.layer_cushion is not None for layer in report.layers)


MIXING = [node("Softmax", "t", "y", axis=1), *BACK]
"""Behind the Transpose the second axis is the batch."""


def test_rows_that_mix_are_found(tmp_path: Path) -> None:
    network = load(write_model(tmp_path / "net.onnx", [MOVED, *MIXING], CONSTANTS, ["N", 3, 4], opset=13))
    np.savez(tmp_path / "rows.npz", x=X, y=np.arange(7) % 5)
    rows = open_rows(tmp_path / "rows.npz", network, Preprocessing())
    with pytest.raises(ModelError) as raised:
        analyze(network, rows)
    assert raised.value.code == "model-batch"
    assert "the logits of 4 rows that are run together differ" in raised.value.problems[0].why


@pytest.mark.parametrize("batch", [1, "N"])
def test_a_mean_over_the_batch_is_refused(tmp_path: Path, batch: int | str) -> None:
    nodes = [
        node("ReduceMean", "x", "m", axes=[0], keepdims=1),
        node("Sub", "x m", "d"),
        node("Reshape", "d flat", "f"),
        node("MatMul", "f tail", "logits"),
    ]
    with pytest.raises(ModelError) as raised:
        load(write_model(tmp_path / "net.onnx", nodes, CONSTANTS, [batch, 3, 4], opset=13))
    assert raised.value.code == "model-unsupported-operator"
    assert "batch" in raised.value.problems[0].why


def test_what_has_no_such_reading_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    nodes = [MOVED, node("GlobalMaxPool", "t", "y"), *BACK]
    with pytest.raises(ModelError) as raised:
        load(write_model(tmp_path / "net.onnx", nodes, CONSTANTS, ["N", 3, 4], opset=13))
    assert "moves the batch axis" in raised.value.problems[0].why


def test_logits_without_a_batch_are_refused(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x flat", "f"), node("MatMul", "f tail", "y"), node("Squeeze", "y axes", "logits")]
    with pytest.raises(ModelError) as raised:
        load(write_model(tmp_path / "net.onnx", nodes, CONSTANTS, [1, 3, 4], opset=13))
    assert "no batch axis in front" in raised.value.problems[0].why
