"""Evaluate nodes whose inputs are all known, with the reference implementation that the onnx package ships."""

from math import prod

import numpy as np
import onnx
from onnx import TensorProto

from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.graph.screen import LARGEST_ENTRIES
from onnxbound.operators.operator import Array
from onnxbound.operators.quantisation import PAIRED, dequantised, quantised

_GROWING = {"ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Upsample", "Pad", "OneHot", "EyeLike"}


def evaluate(node: GraphNode, values: list[Array | None], opset: int) -> list[Array] | None:
    """Outputs of a node of the default domain given all its inputs; None if it has no defined value here.

    None also stands for an operator that the reference implementation lacks, for a random one, and for a result that
    would be larger than any weight.
    """
    proto = node.proto
    if proto.op_type in ("DequantizeLinear", "QuantizeLinear"):
        return _quantisation(node, values)
    if proto.domain not in ("", "ai.onnx") or proto.op_type.startswith(("Random", "Multinomial", "Bernoulli")):
        return None
    if opset < 13 and proto.op_type in ("Softmax", "LogSoftmax", "Hardmax"):  # the reference knows the new ones alone
        return None
    if proto.op_type in _GROWING and _asks_for(proto.op_type, values) > LARGEST_ENTRIES:
        return None
    from onnx.reference import ReferenceEvaluator

    names = [name for name, value in zip(node.inputs, values, strict=True) if value is not None]
    known = {name: np.asarray(v) for name, v in zip(node.inputs, values, strict=True) if v is not None}
    infos = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(known[name].dtype), known[name].shape
        )
        for name in dict.fromkeys(names)
    ]
    outputs = [onnx.helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.outputs]
    graph = onnx.helper.make_graph([proto], "fold", infos, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        if _largest_output(model) > max(LARGEST_ENTRIES, *(value.size for value in known.values())):
            return None
        results = ReferenceEvaluator(model).run(None, known)
    except Exception:  # noqa: BLE001 - whatever the reference cannot do stays in the graph and is reported there
        return None
    return [np.asarray(result) for result in results]


def _quantisation(node: GraphNode, values: list[Array | None]) -> list[Array] | None:
    """Weights are often kept so, and the reference implementation lacks the versions of older opsets."""
    x, scale, zero_point = (*values, None, None)[:3]
    attributes = node.attributes()
    axis, block = int(attributes.get("axis", 1)), int(attributes.get("block_size", 0))
    if x is None or scale is None:
        return None
    try:
        if node.proto.op_type == "DequantizeLinear":
            return [dequantised(x, scale, zero_point, axis, block)]
        if zero_point is None or block:
            return None
        q = quantised(x, scale, zero_point, axis)
        return [dequantised(q, scale, zero_point, axis) if attributes.get(PAIRED) else q]
    except (ValueError, IndexError, TypeError):
        return None


def _largest_output(model: onnx.ModelProto) -> int:
    """Entries of the largest output whose shape follows from the shapes of the inputs; 0 if none does."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = [[d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.output]
    return max((prod(shape) for shape in shapes), default=0)


def _asks_for(op_type: str, values: list[Array | None]) -> int:
    """An upper estimate of the number of entries a growing operator would make."""
    known = [np.asarray(value) for value in values if value is not None]
    if op_type == "Range":
        start, limit, delta = (float(value.ravel()[0]) for value in known)
        return int(abs((limit - start) / delta)) + 1 if delta else 0
    sizes = known[0] if op_type == "ConstantOfShape" else known[-1]
    asked = prod(max(1, abs(int(n))) for n in sizes.ravel()[:32]) if sizes.dtype.kind in "iu" else 1
    return asked if op_type == "ConstantOfShape" else asked * max(1, known[0].size)
