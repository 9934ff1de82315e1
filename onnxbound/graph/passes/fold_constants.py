"""A node with only constant inputs, such as a Transpose of a weight, becomes a constant."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from onnxbound.graph.constants import evaluate
from onnxbound.graph.model_file import WeightReader
from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.graph.screen import too_large
from onnxbound.operators.operator import Array

_GROWTH, _ALWAYS = 8, 1 << 28
"""Bytes of computed constants: so many times those of the weights, and so many in any case."""

_VALUES = {
    "value", "sparse_value", "value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings"
}  # fmt: skip
_PASS_THROUGH = {"Identity", "Dropout"}


def fold_constants(graph: OnnxGraph, reader: WeightReader) -> PassResult:
    """Evaluate every node that depends on constants only.

    Only what depends on nothing else is folded here; shape arithmetic, which depends on the shapes of activations, is
    folded by `lower` when those are known.
    """
    constants, origins = dict(graph.constants), dict(graph.origins)
    room = room_for_constants(graph)
    rest: list[GraphNode] = []
    folded: list[str] = []
    for node in graph.nodes:
        values = _constant_outputs(node, constants, reader, graph.opset)
        if values is None:
            rest.append(node)
            continue
        room -= sum(value.nbytes for value in values)
        if room < 0:
            raise too_large(node.where, "the constants that its nodes compute take many times the size of the file")
        constants.update(zip(node.outputs, values, strict=False))
        if node.op_type != "Constant":
            folded.append(node.op_type)
            origins |= origin_of(node, constants, origins)
    changed = len(rest) < len(graph.nodes)
    reason = f"evaluated constant nodes: {', '.join(sorted(set(folded)))}" if folded else ""
    return PassResult(replace(graph, nodes=tuple(rest), constants=constants, origins=origins), changed, reason)


def room_for_constants(graph: OnnxGraph) -> int:
    """Bytes that constants computed from a graph's own may take."""
    return _GROWTH * sum(value.nbytes for value in graph.constants.values()) + _ALWAYS


def origin_of(node: GraphNode, constants: Mapping[str, Array], origins: Mapping[str, str]) -> dict[str, str]:
    """The output and the first input, if the output holds that input's entries, chosen, repeated, scaled or converted.

    Adding an array to one number, or multiplying it by one, counts as repeating: class tokens are expanded so.
    """
    if not node.inputs or len(node.outputs) != 1 or not node.inputs[0]:
        return {}
    (output,), first = node.outputs, node.inputs[0]
    repeated = node.op_type in ("Expand", "Gather", "Tile")
    if node.op_type in ("Add", "Mul"):
        varied = [name for name in node.inputs if np.any(constants[name] != constants[name].flat[:1])]
        repeated, first = len(varied) == 1, varied[0] if len(varied) == 1 else first
    same = repeated or np.size(constants[output]) == np.size(constants[first])
    return {output: origins.get(first, first)} if same else {}


def _constant_outputs(
    node: GraphNode, constants: dict[str, Array], reader: WeightReader, opset: int
) -> list[Array] | None:
    if node.op_type == "Constant" and _names_one_value(node):
        return [_constant_value(node, reader)]
    if not node.inputs or not all(name in constants for name in node.inputs if name):
        return None
    values = [constants[name] if name else None for name in node.inputs]
    if node.op_type in _PASS_THROUGH and values[0] is not None:
        return [values[0]]
    return evaluate(node, values, opset)


def _names_one_value(node: GraphNode) -> bool:
    return len(node.proto.attribute) == 1 and node.proto.attribute[0].name in _VALUES


def _constant_value(node: GraphNode, reader: WeightReader) -> Array:
    (attribute,) = node.proto.attribute
    if attribute.name == "value":
        return reader.array(attribute.t)
    if attribute.name == "sparse_value":
        return reader.dense(attribute.sparse_tensor)
    value = node.attributes()[attribute.name]
    numeric = np.float32 if "float" in attribute.name else np.int64
    return np.asarray(value, object if "string" in attribute.name else numeric)
