"""What the passes wrote anew is appended to the message, so that onnxruntime computes whatever the network names."""

import numpy as np
from onnx import ModelProto, numpy_helper

from onnxbound.graph.onnx_graph import OnnxGraph


def complete(model: ModelProto, graph: OnnxGraph) -> ModelProto:
    """The model with every node of `graph` whose output it does not compute, and the constants that those read."""
    message = model.graph
    known = {name for node in message.node for name in node.output}
    known |= {value.name for value in message.input} | {tensor.name for tensor in message.initializer}
    known |= {tensor.values.name for tensor in message.sparse_initializer}
    missing = [node for node in graph.nodes if known.isdisjoint(node.outputs)]
    if not missing:
        return model
    result = ModelProto()
    result.CopyFrom(model)
    taken = {node.name for node in message.node}
    for node in missing:
        proto = result.graph.node.add()
        proto.CopyFrom(node.proto)
        while proto.name in taken:
            proto.name += "/again"
        taken.add(proto.name)
        for name in node.inputs:
            if name in graph.constants and name not in known:
                result.graph.initializer.append(numpy_helper.from_array(np.asarray(graph.constants[name]), name))
                known.add(name)
    return result
