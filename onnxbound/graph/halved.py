"""A model that computes in floats of 16 bits between its inputs and its outputs, whose types stay."""

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

_WIDE, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def halved(model: ModelProto) -> ModelProto:
    """The model with every float constant rounded to 16 bits, and a Cast behind each input and before each output.

    Raises:
        ValueError: A constant exceeds what 16 bits hold, or nodes contain graphs.
    """
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [v.name for v in graph.input if v.name not in constants and v.type.tensor_type.elem_type == _WIDE]
    outputs = [v.name for v in graph.output if v.type.tensor_type.elem_type in (_WIDE, TensorProto.UNDEFINED)]
    narrow = {name: f"{name}/16 bits" for name in (*inputs, *outputs)}
    for tensor in graph.initializer:
        _round(tensor)
    for value in graph.input:
        if value.name in constants and value.type.tensor_type.elem_type == _WIDE:
            value.type.tensor_type.elem_type = _HALF
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [narrow.get(name, name) for name in names]
        for attribute in node.attribute:
            if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
                raise ValueError(f"{node.op_type} contains a graph")
            if attribute.type == AttributeProto.TENSOR:
                _round(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == _WIDE:
                attribute.i = _HALF
    casts = [helper.make_node("Cast", [name], [narrow[name]], to=_HALF) for name in inputs]
    nodes = [*casts, *graph.node, *(helper.make_node("Cast", [narrow[name]], [name], to=_WIDE) for name in outputs)]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    return result


def _round(tensor: TensorProto) -> None:
    if tensor.data_type == _WIDE:
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(values).all():
            raise ValueError(f"{tensor.name} exceeds what 16 bits hold")
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
