"""A QuantizeLinear and the DequantizeLinear behind it become one float operator, which rounds to a grid."""

from dataclasses import replace

import onnx

from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.graph.passes.spell_quantised import DEQUANTIZE, QUANTIZE
from onnxbound.operators.quantisation import PAIRED, READERS
from onnxbound.words import counted


def pair_roundings(graph: OnnxGraph) -> PassResult:
    """Merge each QuantizeLinear with the one DequantizeLinear that reads it by the same scale and zero point.

    The integers between them disappear. A QuantizeLinear whose integers are read otherwise is refused later.
    """
    dequantized = {node.inputs: node for node in graph.nodes if node.op_type in DEQUANTIZE}
    kinds: dict[str, list[str]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            kinds.setdefault(name, []).append(node.op_type)
    nodes: list[GraphNode] = []
    gone: set[str] = set()
    for node in graph.nodes:
        pair = None
        if node.op_type in QUANTIZE and len(node.outputs) == 1 and len(kinds.get(node.outputs[0], ())) == 1:
            pair = dequantized.get((node.outputs[0], *node.inputs[1:]))
        if pair is not None:
            gone.update(pair.outputs)
            nodes.append(_marked(node, PAIRED, 1, *pair.outputs))
        elif node.op_type in QUANTIZE:
            read_by = sorted({kind for name in node.outputs for kind in kinds.get(name, [])})
            nodes.append(_marked(node, READERS, ", ".join(read_by) or "nothing", *node.outputs))
        elif gone.isdisjoint(node.outputs):
            nodes.append(node)
    pairs = counted(len(gone), "pair")
    reason = f"read {pairs} of QuantizeLinear and DequantizeLinear as saturating rounding" if gone else ""
    return PassResult(replace(graph, nodes=tuple(nodes)), bool(gone), reason)


def _marked(node: GraphNode, attribute: str, value: int | str, *outputs: str) -> GraphNode:
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    proto.output[:] = outputs
    proto.attribute.append(onnx.helper.make_attribute(attribute, value))
    return replace(node, proto=proto)
