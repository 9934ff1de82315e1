"""Several inputs become one, which holds their rows side by side. The graph splits it again."""

from math import prod
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from onnxbound.operators.operator import Shape

_PREFIX = "onnxbound packed"


def pack_inputs(model: ModelProto) -> tuple[ModelProto, dict[str, Shape], str]:
    """Join the inputs of a row, flat and in the file's order, into one of integers, or of floats if any is.

    Args:
        model: The model, without the inputs that are held fixed, and with a length for every axis of a row.

    Returns:
        The model, each input with the shape of its part of a row, and what was done, in words. The model is unchanged
        where it has one input, or an input whose rows have no known shape.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    read = {name for node in model.graph.node for name in node.input}
    inputs = [value for value in model.graph.input if value.name not in weights and value.name in read]
    parts = {value.name: _row(value) for value in inputs}
    batches = {value.type.tensor_type.shape.dim[0].SerializeToString() for value in inputs if parts[value.name]}
    if len(inputs) < 2 or not all(parts.values()) or len(batches) > 1:
        return model, {}, ""
    result, shapes = ModelProto(), {name: shape for name, shape in parts.items() if shape}
    result.CopyFrom(model)
    types = {value.type.tensor_type.elem_type for value in inputs}
    kind = types.pop() if len(types) == 1 else TensorProto.INT64 if _whole(types) else TensorProto.FLOAT
    name, total = " + ".join(shapes), sum(map(prod, shapes.values()))
    packed = helper.make_tensor_value_info(name, kind, [None, total])
    packed.type.tensor_type.shape.dim[0].CopyFrom(inputs[0].type.tensor_type.shape.dim[0])
    kept = [value for value in result.graph.input if value.name not in shapes]
    del result.graph.input[:]
    result.graph.input.extend([packed, *kept])
    nodes, start = [], 0
    for value in inputs:
        shape = shapes[value.name]
        nodes += _cut(result, name, value, shape, start, kind)
        start += prod(shape)
    nodes += list(result.graph.node)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result, shapes, f"inputs of a row, side by side: {name}"


def _row(value: ValueInfoProto) -> Shape:
    """Lengths of a row that are all known; empty otherwise."""
    tensor = value.type.tensor_type
    lengths = tuple(dim.dim_value for dim in tensor.shape.dim[1:])
    known = tensor.elem_type in (*_WHOLE, *_BROKEN) and all(n > 0 for n in lengths)
    return lengths if known else ()


_WHOLE = (TensorProto.BOOL, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64)
_BROKEN = (TensorProto.FLOAT, TensorProto.DOUBLE)


def _whole(types: set[int]) -> bool:
    return types <= set(_WHOLE)


def _cut(model: ModelProto, packed: str, value: ValueInfoProto, shape: Shape, start: int, kind: int) -> list[NodeProto]:
    """Nodes that cut one part out: Slice, and Reshape and Cast where they change something."""
    name = value.name

    def constant(what: str, *numbers: int) -> str:
        tensor = numpy_helper.from_array(np.array(numbers, np.int64), f"{_PREFIX} {what} {name}")
        model.graph.initializer.append(tensor)
        return str(tensor.name)

    ends = (constant("start", start), constant("stop", start + prod(shape)), constant("axis", 1))
    steps: list[tuple[str, list[str], dict[str, Any]]] = [("Slice", list(ends), {})]
    if len(shape) > 1:
        steps.append(("Reshape", [constant("shape", -1, *shape)], {}))
    if value.type.tensor_type.elem_type != kind:
        steps.append(("Cast", [], {"to": value.type.tensor_type.elem_type}))
    nodes, current = [], packed
    for number, (op, inputs, attributes) in enumerate(steps):
        output = name if number == len(steps) - 1 else f"{_PREFIX} {op} {name}"
        nodes.append(helper.make_node(op, [current, *inputs], [output], name=f"{_PREFIX} {op} {name}", **attributes))
        current = output
    return nodes
