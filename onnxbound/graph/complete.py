"""Append the nodes that passes wrote to the model, so that onnxruntime can compute every tensor of the network."""

from collections.abc import Collection

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph
from onnxbound.operators.operator import Array
from onnxbound.operators.quantisation import PAIRED


class Written:
    """Nodes that passes wrote and whose outputs no node of the file computes, each in the form it had first.

    Later passes remove conversions of type, which onnxruntime needs and the network does not.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, GraphNode] = {}
        self._constants: dict[str, Array] = {}

    def note(self, graph: OnnxGraph) -> None:
        """Remember the nodes that are new in a graph."""
        for node in graph.nodes:
            (new,) = node.outputs if len(node.outputs) == 1 else ("",)
            if new and new not in graph.file_names and new not in self._nodes:
                self._nodes[new] = node
                self._constants |= {name: graph.constants[name] for name in node.inputs if name in graph.constants}

    def completed(self, model: ModelProto, wanted: Collection[str]) -> ModelProto:
        """The model with the further nodes that the tensors `wanted` are computed by."""
        nodes = self._ancestors(wanted)
        if not nodes:
            return model
        result = ModelProto()
        result.CopyFrom(model)
        graph = result.graph
        known = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
        known |= {tensor.values.name for tensor in graph.sparse_initializer}
        own = len(graph.node)
        for node in nodes:
            graph.node.extend(_as_the_runtime_knows_it(node.proto))
            for name in node.inputs:
                if name in self._constants and name not in known:
                    graph.initializer.append(numpy_helper.from_array(np.asarray(self._constants[name]), name))
                    known.add(name)
        for written in graph.node[own:]:
            written.name = ""  # those that are spelled keep the names, of which onnxruntime wants each once
        return result

    def _ancestors(self, wanted: Collection[str]) -> list[GraphNode]:
        """In the order in which they can be computed."""
        order: dict[str, GraphNode] = {}
        waiting = [(name, False) for name in wanted]
        while waiting:
            name, ready = waiting.pop()
            node = self._nodes.get(name)
            if node is None or name in order:
                continue
            if ready:
                order[name] = node
            else:
                waiting += [(name, True), *((before, False) for before in node.inputs)]
        return list(order.values())


def _as_the_runtime_knows_it(proto: NodeProto) -> list[NodeProto]:
    """The node; a QuantizeLinear that stands for its DequantizeLinear too as both."""
    kept = [attribute for attribute in proto.attribute if attribute.name != PAIRED]
    if len(kept) == len(proto.attribute):
        return [proto]
    quantize = NodeProto()
    quantize.CopyFrom(proto)
    del quantize.attribute[:]
    quantize.attribute.extend(kept)
    quantize.output[:] = [f"{proto.output[0]}/integers"]
    back = helper.make_node(
        "DequantizeLinear", [quantize.output[0], *proto.input[1:]], proto.output, domain=proto.domain
    )
    return [quantize, back]
