"""Nodes that the logits do not depend on are dropped."""

from dataclasses import replace

from onnxbound.graph.onnx_graph import OnnxGraph, PassResult


def drop_unused(graph: OnnxGraph) -> PassResult:
    """Keep the ancestors of the outputs."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    dropped = len(graph.nodes) - len(kept)
    reason = f"dropped {dropped} nodes that the logits do not depend on" if dropped else ""
    return PassResult(replace(graph, nodes=tuple(reversed(kept))), dropped > 0, reason)
