"""Nodes that the logits do not depend on are removed, and so are outputs that nothing reads."""

from dataclasses import replace

from onnx import NodeProto

from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.words import counted


def drop_unused(graph: OnnxGraph) -> PassResult:
    """Keep the ancestors of the outputs; of a Split, whose parts are counted, all outputs."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            kept.append(node if node.op_type == "Split" else _with_outputs(node, needed))
            needed.update(node.inputs)
    dropped = len(graph.nodes) - len(kept)
    reason = f"dropped {counted(dropped, 'node')} that the logits do not depend on" if dropped else ""
    return PassResult(replace(graph, nodes=tuple(reversed(kept))), dropped > 0, reason)


def _with_outputs(node: GraphNode, needed: set[str]) -> GraphNode:
    names = [name if name in needed else "" for name in node.proto.output]
    if names == list(node.proto.output):
        return node
    proto = NodeProto()
    proto.CopyFrom(node.proto)
    proto.output[:] = names
    return replace(node, proto=proto)
