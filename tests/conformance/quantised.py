"""The node tests of operators on integers, each put between a rounding of floats in front and one behind.

The integers of a case stand for floats, which enter as rows, and so do the expected ones. Values are compared exactly
up to float32; the Jacobian of a QuantizeLinear with finite differences of the clip that it rounds, straight through.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxbound.errors import ModelError
from onnxbound.graph.constants import evaluate
from onnxbound.graph.layer import Step
from onnxbound.graph.lower import _Lowering
from onnxbound.graph.model_file import WeightReader, default_opset
from onnxbound.graph.onnx_graph import GraphNode, build_graph
from onnxbound.graph.passes.fold_constants import fold_constants
from onnxbound.graph.passes.pair_roundings import pair_roundings
from onnxbound.graph.passes.spell_quantised import spell_quantised
from onnxbound.operators.quantisation import SaturatingRounding, dequantised

OPERATORS = ("DequantizeLinear", "QLinearConv", "QLinearMatMul", "QuantizeLinear")

_OUTPUT_GRID = {"QuantizeLinear": (1, 2), "QLinearConv": (6, 7), "QLinearMatMul": (6, 7)}
"""Which inputs are the scale and the zero point of the output."""

Array = NDArray[Any]


def run(model: ModelProto, inputs: Sequence[Array], outputs: Sequence[Array]) -> tuple[str, str]:
    """Status and reason."""
    (node,) = model.graph.node
    values = {value.name: np.asarray(given) for value, given in zip(model.graph.input, inputs, strict=True)}
    expected = np.asarray(outputs[0])
    if node.op_type == "DequantizeLinear":
        return _constant(model, [values[name] if name else None for name in node.input], expected)
    scale, zero = (values[node.input[k]] if k < len(node.input) else None for k in _OUTPUT_GRID[node.op_type])
    assert scale is not None
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    try:
        steps, rows, output = _read(model, values, (scale, zero))
    except ModelError as error:
        return "refused", error.problems[0].why
    found = {node.input[0]: rows}
    for step in steps:
        found[step.output] = step.operator.cast(np.float32).act(*(found[name] for name in step.inputs))
    floats = dequantised(expected, scale, zero, axis, block)
    if not np.allclose(found[output], floats, rtol=1e-6, atol=0):
        return "failed", f"values differ by up to {np.abs(found[output] - floats).max():.3g}"
    if node.op_type != "QuantizeLinear":
        return "passed", f"rows at {node.input[0]}"
    (step,) = steps
    assert isinstance(step.operator, SaturatingRounding)
    low, high = step.operator.low * step.operator.scale, step.operator.high * step.operator.scale
    # Beside the data of the case, which stand exactly on the ends.
    at, h = rows.astype(np.float64) + 0.3, 1e-3
    slope = (np.clip(at + h, low, high) - np.clip(at - h, low, high)) / (2 * h)
    if not np.allclose(step.operator.slope(at), slope):
        return "failed", "the slope is not that of the clip"
    return "passed", f"rows at {node.input[0]}"


def _constant(model: ModelProto, values: list[Array | None], expected: Array) -> tuple[str, str]:
    found = evaluate(GraphNode(model.graph.node[0], 0), values, default_opset(model))
    if found is None:
        return "refused", "its value cannot be computed without a row"
    if not np.allclose(found[0], expected.astype(np.float32), rtol=1e-3 if expected.itemsize < 4 else 1e-6):
        return "failed", f"values differ by up to {np.abs(found[0] - expected.astype(np.float32)).max():.3g}"
    return "passed", "as a constant"


def _read(
    model: ModelProto, values: dict[str, Array], grid: tuple[Array, Array | None]
) -> tuple[list[Step], Array, str]:
    """Steps from floats at the first input to floats at the output, those floats, and the name of the output."""
    (node,) = model.graph.node
    first, given = node.input[0], values[node.input[0]]
    nodes, rows = [node], given.astype(np.float32)
    if node.op_type != "QuantizeLinear":
        scale, zero = node.input[1], node.input[2]
        rows = dequantised(given, values[scale], values[zero])
        nodes = [helper.make_node("QuantizeLinear", [first, scale, zero], ["q"]), onnx.NodeProto()]
        nodes[1].CopyFrom(node)
        nodes[1].input[0] = "q"
    behind = [name for k in _OUTPUT_GRID[node.op_type] if k < len(node.input) for name in [node.input[k]]]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name in ("axis", "block_size")}
    kept = attributes if node.op_type == "QuantizeLinear" else {}
    nodes.append(helper.make_node("DequantizeLinear", [node.output[0], *behind], ["floats"], **kept))
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info(first, TensorProto.FLOAT, rows.shape)],
        [onnx.ValueInfoProto(name="floats")],
        [numpy_helper.from_array(value, name) for name, value in values.items() if name != first],
    )
    whole = helper.make_model(graph, opset_imports=model.opset_import)
    reader = WeightReader(Path())
    read = pair_roundings(spell_quantised(fold_constants(build_graph(whole, reader), reader).graph).graph).graph
    lowering = _Lowering(read, len(rows), dict(read.constants), {first: rows.shape[1:]})
    lowering.run()
    return lowering.steps, rows, read.outputs[0]
