"""16-bit float weights and inputs become float32; the weights keep their values."""

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from onnxbound.words import counted

_NARROW = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def widen_floats(model: ModelProto) -> tuple[ModelProto, bool, str]:
    """Put a Cast behind each 16-bit initializer, which may stay in another file, and make every other type float32.

    The function that is read has the file's weights and exact activations; onnxruntime's 16-bit arithmetic differs from
    it by rounding.
    """
    narrow = [tensor.name for tensor in model.graph.initializer if tensor.data_type in _NARROW]
    types = [value.type.tensor_type.elem_type for value in model.graph.input]
    if not narrow and not any(kind in _NARROW for kind in types):
        return model, False, ""
    result = ModelProto()
    result.CopyFrom(model)
    _widen(result.graph)
    return result, True, f"read {counted(len(narrow), 'tensor')} of 16 bits as float32"


def _widen(graph: GraphProto) -> None:
    taken = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    narrow = {tensor.name for tensor in graph.initializer if tensor.data_type in _NARROW}
    for value in [value for value in graph.input if value.name in narrow]:  # old files list constants among the inputs
        graph.input.remove(value)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in _NARROW:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del graph.value_info[:]
    for node in graph.node:
        _widen_node(node)
    for tensor in graph.initializer:
        if tensor.data_type not in _NARROW:
            continue
        name = f"{tensor.name}/16 bits"
        while name in taken:
            name += "'"
        graph.node.append(onnx.helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
        tensor.name = name


def _widen_node(node: NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i in _NARROW:
            attribute.i = TensorProto.FLOAT
        elif attribute.type == AttributeProto.TENSOR and attribute.t.data_type in _NARROW:
            wide = numpy_helper.to_array(attribute.t).astype("float32")
            attribute.t.CopyFrom(numpy_helper.from_array(wide, attribute.t.name))
