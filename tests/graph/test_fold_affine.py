"""BatchNormalization, and whatever else is a scale and shift per channel, joins the layer before it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxbound.graph.load import load
from onnxbound.linear.linearisation import linearise
from tests.nets import model_of

CHANNELS = 4


def constants() -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(3)
    values = {name: random.normal(size=CHANNELS) for name in ("scale", "shift", "mean", "bias")}
    values |= {"variance": random.uniform(0.1, 2, CHANNELS), "kernel": random.normal(size=(CHANNELS, 2, 3, 3))}
    values |= {"dense": random.normal(size=(CHANNELS * 16, 3)), "factor": random.normal(size=(CHANNELS, 1, 1))}
    values |= {"plane": random.normal(size=(4, 4)), "per channel": random.normal(size=(1, CHANNELS, 1, 1))}
    return {name: value.astype(np.float32) for name, value in values.items()}


CONV = helper.make_node("Conv", ["x", "kernel", "bias"], ["c"], name="conv")
FLAT = [helper.make_node("Flatten", ["end"], ["flat"]), helper.make_node("MatMul", ["flat", "dense"], ["logits"])]


def batch_normalization(x: str, y: str) -> NodeProto:
    return helper.make_node("BatchNormalization", [x, "scale", "shift", "mean", "variance"], [y], epsilon=2.0**-10)


def node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split("|"), [output], **attributes)


def steps_of(path: Path, nodes: list[NodeProto]) -> tuple[list[str], NDArray[Any], NDArray[Any]]:
    """Operators left, logits in float64, logits of the same net computed by its definition in float64."""
    model = model_of([CONV, *nodes, *FLAT], constants(), ["N", 2, 6, 6])
    path.write_bytes(model.SerializeToString())
    network = load(path).cast(np.float64)
    x = np.random.default_rng(1).normal(size=(3, 2, 6, 6))
    ours = linearise(network, x, {network.output}).values[network.output]
    for value in model.graph.initializer:
        value.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(value).astype(np.float64), value.name))
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    return [step.op for step in network.steps], ours, expected


FOLDED = {
    "BatchNormalization": [batch_normalization("c", "end")],
    "two of them": [batch_normalization("c", "b"), batch_normalization("b", "end")],
    "Mul and Add": [node("Mul", "c|per channel", "m"), node("Add", "m|factor", "end")],
    "Sub from a constant": [node("Sub", "factor|c", "end")],
    "Div": [node("Div", "c|factor", "end")],
}


@pytest.mark.parametrize("nodes", FOLDED.values(), ids=FOLDED)
def test_folded_equals_unfolded(tmp_path: Path, nodes: list[NodeProto]) -> None:
    steps, ours, expected = steps_of(tmp_path / "net.onnx", nodes)
    assert steps == ["Conv", "Flatten", "MatMul"]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


KEPT = {
    "differs between positions": [node("Add", "c|plane", "end")],
    "has a second reader": [batch_normalization("c", "b"), node("Add", "c|b", "end")],
    "stands behind a gate": [node("Relu", "c", "r"), batch_normalization("r", "end")],
}


@pytest.mark.parametrize("nodes", KEPT.values(), ids=KEPT)
def test_not_folded(tmp_path: Path, nodes: list[NodeProto]) -> None:
    steps, ours, expected = steps_of(tmp_path / "net.onnx", nodes)
    assert steps == ["Conv", *(n.op_type for n in nodes), "Flatten", "MatMul"]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_parameters_are_those_that_training_set(tmp_path: Path) -> None:
    model = model_of([CONV, *FOLDED["BatchNormalization"], *FLAT], constants(), ["N", 2, 6, 6])
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    # kernel and bias, scale and shift, dense; running mean and variance are measured, not trained.
    assert load(path).parameters == CHANNELS * 18 + CHANNELS + 2 * CHANNELS + CHANNELS * 16 * 3
