"""A model that fixes how many rows go in at once, for any number of them."""

from onnx import ModelProto, TensorProto, numpy_helper

_FIXED_TO_OPEN = -1
_FIXED_TO_KEPT = 0
"""In a shape that Reshape is given: whatever is left, and what the input has there."""


def free_batch(model: ModelProto, batch: int) -> ModelProto:
    """The model with an open first length of inputs and outputs, and of shapes that Reshape is given.

    Whether its rows stay apart is for its runs to show.

    Args:
        model: Its inputs have the batch in front.
        batch: Its length.
    """
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for value in (*graph.input, *graph.output):
        lengths = value.type.tensor_type.shape.dim
        if value.name not in constants and len(lengths) > 1 and lengths[0].dim_value == batch:
            lengths[0].Clear()
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    written = [(node.output[0], each) for node in graph.node if node.op_type == "Constant" for each in node.attribute]
    constants |= {name: attribute.t for name, attribute in written if attribute.name == "value"}
    for name in shapes & constants.keys():
        _open(constants[name], batch)
    del graph.value_info[:]
    return result


def _open(shape: TensorProto, batch: int) -> None:
    lengths = numpy_helper.to_array(shape).copy()
    if lengths.size > 1 and lengths[0] == batch:
        lengths[0] = _FIXED_TO_KEPT if (lengths == _FIXED_TO_OPEN).any() else _FIXED_TO_OPEN
        shape.CopyFrom(numpy_helper.from_array(lengths, shape.name))
