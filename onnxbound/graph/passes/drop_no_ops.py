"""Nodes whose output equals their input up to rounding are removed, such as Identity and Dropout at inference."""

from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
import onnx

from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.words import counted

_MOVES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Split", "Expand", "Tile")
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)


def drop_no_ops(graph: OnnxGraph, packed: AbstractSet[str] = frozenset()) -> PassResult:
    """Let every reader of a no-op's output read its input instead.

    A Cast to float32 or float64 keeps the value of every number a supported net computes: a float up to rounding, and
    the integers of an image input exactly. A Cast of an integer input to int32 or int64 keeps every index of a table.

    Args:
        graph: Any.
        packed: Inputs that were cut out of a row of floats, where integers are as exact.
    """
    source: dict[str, str] = {}
    read = {name for node in graph.nodes for name in node.inputs}
    lengths: set[str] = set(graph.constants)
    integers = {value.name for value in graph.inputs if value.type is not None and value.type.kind in "iu"}
    kept: list[GraphNode] = []
    dropped: list[str] = []

    def holds_integers(node: GraphNode, inputs: tuple[str, ...]) -> bool:
        return inputs[0] in integers or not packed.isdisjoint(node.outputs)

    for node in graph.nodes:
        inputs = tuple(source.get(name, name) for name in node.inputs)
        if node.op_type in ("Shape", "Size") or lengths.issuperset(filter(None, inputs)):
            lengths.update(node.outputs)  # arithmetic on lengths and constants is evaluated later, types and all
            kept.append(reading(node, inputs))
        elif read.isdisjoint(node.proto.output[1:]) and (
            _is_no_op(node, graph) or (node.op_type == "Cast" and _to_integers(node) and holds_integers(node, inputs))
        ):
            source[node.outputs[0]] = inputs[0]
            dropped.append(node.op_type)
        else:
            kept.append(reading(node, inputs))
            if node.op_type in _MOVES and inputs[0] in integers:
                integers.update(node.outputs)
    outputs = tuple(source.get(name, name) for name in graph.outputs)
    kinds = ", ".join(sorted(set(dropped)))
    reason = f"removed {counted(len(dropped), 'node')} without effect: {kinds}" if dropped else ""
    return PassResult(replace(graph, nodes=tuple(kept), outputs=outputs), bool(dropped), reason)


def _to_integers(node: GraphNode) -> bool:
    return node.attributes().get("to") in (onnx.TensorProto.INT32, onnx.TensorProto.INT64)


def _is_no_op(node: GraphNode, graph: OnnxGraph) -> bool:
    if node.op_type == "Identity":
        return True
    if node.op_type == "Cast":
        return node.attributes().get("to") in _FLOATS
    if node.op_type != "Dropout":
        return False
    _, ratio, training = (*(graph.constants.get(name) for name in node.inputs), *((None,) * 3))[:3]
    if len(node.inputs) <= 2 or (training is not None and not np.any(training)):
        return True
    return ratio is not None and not np.any(ratio)


def reading(node: GraphNode, inputs: tuple[str, ...]) -> GraphNode:
    """The node with other inputs."""
    if inputs == node.inputs:
        return node
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    del proto.input[:]
    proto.input.extend(inputs)
    return replace(node, proto=proto)
