"""Nodes for which the batch axis is an axis like any other, read with one row in the batch.

Exporters of attention move the batch behind the sequence, or merge it with the heads. At a batch of one row a tensor of
any shape S is a function of that row, so it is carried as a row of shape S, a longer one: the batch of the network
stands in front of all of S. Operators whose axes count from the right are the same there.
"""

from collections.abc import Iterator, Mapping
from math import prod
from string import ascii_letters

import numpy as np

from onnxbound.graph.constants import evaluate
from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.operators.operator import Array, Shape, Unsupported

_SELECTING = {
    "Expand", "Flatten", "Gather", "GatherND", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators whose outputs are entries of their first input; the others are constants."""

_ELEMENTWISE = {
    "Abs", "Add", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log",
    "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "QuantizeLinear", "Reciprocal", "Relu", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh",
}  # fmt: skip

_ALONG_AXES = {
    "Concat", "LayerNormalization", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare",
    "Softmax",
}  # fmt: skip

LIFTED = frozenset(_SELECTING | _ELEMENTWISE | _ALONG_AXES | {"Einsum", "Gemm", "MatMul"})
"""Operators that are read so."""

Lifted = tuple[str, Shape]
"""The tensor that holds the entries, in whatever shape, and the shape S that they have in the file."""

Shapes = Mapping[str, Shape]
Constants = Mapping[str, Array]


def lift(
    node: GraphNode, whole: Mapping[str, Lifted], shapes: Shapes, constants: Constants, write: NodeWriter
) -> list[Lifted | str]:
    """Write a node so that it acts on tensors with the batch of one row as an axis like any other.

    Args:
        node: Its type is one of `LIFTED`.
        whole: The inputs that are computed from the row: name of the tensor with their entries, and their whole shape.
        shapes: Name of such a tensor to the shape of a row.
        constants: Tensor name to value.
        write: Collects the new nodes.

    Returns:
        For each output, the tensor that has its entries, with the whole shape where the file has another one.

    Raises:
        Unsupported: The node cannot be written so.
    """
    if node.op_type in _SELECTING:
        return [*_select(node, whole, shapes, constants, write)]
    if node.op_type == "Einsum":
        return [_einsum(node, whole, shapes, write)]
    rank = max(len(shape) for _, shape in whole.values())
    inputs = [_of_rank(rank, whole[name], shapes, write) if name in whole else name for name in node.inputs]
    if node.op_type == "Concat":
        inputs = [write.constant(constants[x][None], x) if x in constants else x for x in inputs]
    if node.op_type == "Gemm":
        return [_gemm(node, inputs, constants, write)]
    attributes = dict(node.attributes())
    if node.op_type in _ALONG_AXES:
        axes = _count_from_the_right(node, rank, inputs, attributes, constants, write)
        if -rank in axes and all(shapes[name] == shape[1:] for name, shape in whole.values()):
            raise Unsupported("it acts along the batch axis, so rows would not be independent")
    return [write.add(node.op_type, *inputs, name=node.proto.name, **attributes)]


def _select(
    node: GraphNode, whole: Mapping[str, Lifted], shapes: Shapes, constants: Constants, write: NodeWriter
) -> Iterator[Lifted]:
    """Apply the node to the indices of the entries, and gather the entries by the result."""
    if list(whole) != [node.inputs[0]]:
        raise Unsupported("its second input depends on the rows")
    x, shape = whole[node.inputs[0]]
    count = prod(shape)
    values: list[Array | None] = [np.arange(count).reshape(shape)]
    values += [np.asarray(constants[name]) if name else None for name in node.inputs[1:]]
    indices = evaluate(node, values, write.opset)
    if indices is None:
        raise Unsupported("the onnx package cannot evaluate it")
    for index in indices:
        if index.size == count and np.array_equal(index.ravel(), np.arange(count)):
            yield x, index.shape
        elif node.op_type == "Transpose":
            rank = len(shape)
            order = node.attributes().get("perm") or range(rank)[::-1]
            perm = [0, *(int(axis) % rank + 1 for axis in order)]
            yield write.add("Transpose", _of_rank(rank, (x, shape), shapes, write), perm=perm), index.shape
        else:
            flat = x if shapes[x] == (count,) else write.reshape(x, (count,))
            yield write.add("Gather", flat, write.constant(index.ravel()), axis=1), index.shape


def _of_rank(rank: int, lifted: Lifted, shapes: Shapes, write: NodeWriter) -> str:
    """The tensor with axes of length 1 in front, as ONNX broadcasts it."""
    name, shape = lifted
    wanted = (*(1,) * (rank - len(shape)), *shape)
    return name if shapes[name] == wanted else write.reshape(name, wanted)


def _einsum(node: GraphNode, whole: Mapping[str, Lifted], shapes: Shapes, write: NodeWriter) -> str:
    """Einsum with one more letter in front of what depends on the row."""
    terms, _, result = str(node.attributes()["equation"]).replace(" ", "").partition("->")
    letter = next(other for other in ascii_letters if other not in terms)
    factors = terms.split(",")
    equation = ",".join(letter + f if name in whole else f for name, f in zip(node.inputs, factors, strict=True))
    inputs = (
        _of_rank(len(whole[name][1]), whole[name], shapes, write) if name in whole else name for name in node.inputs
    )
    return write.add("Einsum", *inputs, equation=f"{equation}->{letter}{result}", name=node.proto.name)


def _gemm(node: GraphNode, inputs: list[str], constants: Constants, write: NodeWriter) -> str:
    """Gemm of a constant second factor: MatMul(x, alpha W) + beta C."""
    attributes = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | node.attributes()
    if node.inputs[1] not in constants or attributes["transA"]:
        raise Unsupported("the weight is not a constant second factor")
    weight = np.asarray(constants[node.inputs[1]])
    weight = (weight.T if attributes["transB"] else weight) * weight.dtype.type(attributes["alpha"])
    c = node.inputs[2] if len(node.inputs) > 2 and attributes["beta"] else ""
    product = write.add("MatMul", inputs[0], write.constant(weight, node.inputs[1]), name=node.proto.name)
    if not c:
        return product
    if c not in constants:
        raise Unsupported("C is computed from the rows", "write the sum as a separate Add")
    bias = np.asarray(constants[c])
    return write.add("Add", product, write.constant(bias * bias.dtype.type(attributes["beta"]), c))


def _count_from_the_right(
    node: GraphNode,
    rank: int,
    inputs: list[str],
    attributes: dict[str, object],
    constants: Constants,
    write: NodeWriter,
) -> list[int]:
    """Make the axes negative, whichever way they are given, and return them."""
    if node.op_type in ("Concat", "LayerNormalization", "Softmax"):
        old = node.op_type == "Softmax" and write.opset < 13
        axis = int(attributes.get("axis", 1 if old else -1)) % rank - rank  # type: ignore[call-overload]
        if old and axis != -1:
            raise Unsupported("below opset 13 it normalises over several axes at once", "export with opset 13 or newer")
        attributes["axis"] = axis + rank + 1 if old else axis
        return [*range(axis, 0)] if node.op_type == "LayerNormalization" else [axis]
    given = constants.get(node.inputs[1]) if len(node.inputs) > 1 else attributes.get("axes")
    axes = [int(axis) % rank - rank for axis in np.ravel(np.asarray(range(rank) if given is None else given))]
    if len(node.inputs) > 1:
        inputs[1] = write.constant(np.array(axes))
    elif write.opset >= (13 if node.op_type == "ReduceSum" else 18):
        inputs.append(write.constant(np.array(axes)))
    else:
        attributes["axes"] = axes
    return axes
