"""Operators that are spelled with others once the shapes of their inputs are known.

Each function writes nodes whose last output is the output of the node it replaces.
"""

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.operators.mean import row_axes
from onnxbound.operators.operator import Array, Shape, Unsupported

Shapes = Mapping[str, Shape]
Constants = Mapping[str, Array]


def reduce_max(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """ReduceMax: its axes moved behind the others, a MaxPool over them, and the shape that was asked for."""
    x = node.inputs[0]
    shape, attributes = shapes[x], node.attributes()
    axes = constants.get(node.inputs[1]) if len(node.inputs) > 1 else attributes.get("axes")
    if axes is None or np.size(axes) == 0:
        raise Unsupported("it goes over the batch as well")
    gone = sorted(row_axes(np.asarray(axes), len(shape)))
    kept = [axis for axis in range(len(shape)) if axis not in gone]
    length = prod(shape[axis] for axis in gone)
    moved = write.add("Transpose", x, perm=[0, *(axis + 1 for axis in (*kept, *gone))])
    rows = _reshaped(write, moved, (prod(shape) // length, length))
    largest = write.add("MaxPool", rows, kernel_shape=[length])
    keep = attributes.get("keepdims", 1)
    final = [1 if axis in gone else n for axis, n in enumerate(shape) if keep or axis not in gone]
    _reshaped(write, largest, tuple(final), output=node.outputs[0])


def reduce_min(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """ReduceMin: -ReduceMax(-x)."""
    negated = write.add("Neg", node.inputs[0])
    largest = write.add("ReduceMax", negated, *node.inputs[1:], **node.attributes())
    write.add("Neg", largest, output=node.outputs[0])


def reduce_sum(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """ReduceSum: the mean times the number of entries."""
    shape, attributes = shapes[node.inputs[0]], node.attributes()
    axes = constants.get(node.inputs[1]) if len(node.inputs) > 1 else attributes.get("axes")
    if axes is None or np.size(axes) == 0:
        raise Unsupported("it goes over the batch as well")
    count = prod(shape[axis] for axis in row_axes(np.asarray(axes), len(shape)))
    mean = write.add(
        "ReduceMean", node.inputs[0], write.constant(np.ravel(axes)), keepdims=attributes.get("keepdims", 1)
    )
    write.add("Mul", mean, write.constant(np.float32(count)), output=node.outputs[0])


def maximum(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Max of activations: side by side, and a MaxPool over them; of one and a constant c: c + Relu(x - c)."""
    if any(name in constants for name in node.inputs):
        x, c = _with_constant(node, constants)
        above = write.add("Relu", write.add("Sub", x, c))
        write.add("Add", above, c, output=node.outputs[0])
        return
    shape = shapes[node.inputs[0]]
    if any(shapes[name] != shape for name in node.inputs):
        raise Unsupported("it compares activations of different shapes")
    columns = [_reshaped(write, name, (prod(shape), 1)) for name in node.inputs]
    largest = write.add("MaxPool", write.add("Concat", *columns, axis=2), kernel_shape=[len(columns)])
    _reshaped(write, largest, shape, output=node.outputs[0])


def minimum(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Min: -Max(-x, -y); of one and a constant c: c - Relu(c - x)."""
    if any(name in constants for name in node.inputs):
        x, c = _with_constant(node, constants)
        below = write.add("Relu", write.add("Sub", c, x))
        write.add("Sub", c, below, output=node.outputs[0])
        return
    largest = write.add("Max", *(write.add("Neg", name) for name in node.inputs))
    write.add("Neg", largest, output=node.outputs[0])


def _with_constant(node: GraphNode, constants: Constants) -> tuple[str, str]:
    fixed = [name for name in node.inputs if name in constants]
    if len(node.inputs) != 2 or len(fixed) != 1:
        raise Unsupported("it compares more than one activation and one constant")
    (x,) = (name for name in node.inputs if name not in constants)
    return x, fixed[0]


def mean_of(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Mean of activations: their sum, divided by how many there are."""
    total = write.add("Sum", *node.inputs)
    write.add("Mul", total, write.constant(np.float32(1 / len(node.inputs))), output=node.outputs[0])


def hard_sigmoid(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """HardSigmoid: alpha x + beta, clipped to [0, 1]."""
    attributes = node.attributes()
    alpha, beta = (write.constant(np.float32(attributes.get(*default))) for default in (("alpha", 0.2), ("beta", 0.5)))
    line = write.add("Add", write.add("Mul", node.inputs[0], alpha), beta)
    if write.opset < 11:
        write.add("Clip", line, output=node.outputs[0], min=0.0, max=1.0)
    else:
        zero, one = write.constant(np.float32(0)), write.constant(np.float32(1))
        write.add("Clip", line, zero, one, output=node.outputs[0])


def einsum(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Einsum of an activation and a constant matrix along the activation's last axis: a MatMul."""
    equation = str(node.attributes()["equation"]).replace(" ", "").replace("...", "")
    terms, _, result = equation.partition("->")
    factors = terms.split(",")
    if len(factors) != 2 or len(node.inputs) != 2 or sum(name in constants for name in node.inputs) != 1:
        raise Unsupported(f"equation {equation!r} is not the product of an activation and a constant")
    (x, a), (w, b) = sorted(zip(node.inputs, factors, strict=True), key=lambda pair: pair[0] in constants)
    summed, kept = a[-1:], "".join(set(b) - set(a))
    if sorted(b) != sorted(summed + kept) or result != a[:-1] + kept or len(kept) != 1:
        raise Unsupported(f"equation {equation!r} is not a linear layer along the activation's last axis")
    weight = np.asarray(constants[w])
    right = w if b == summed + kept else write.constant(np.ascontiguousarray(weight.T), origin=w)
    write.add("MatMul", x, right, output=node.outputs[0])


def _reshaped(write: NodeWriter, name: str, shape: Shape, output: str = "") -> str:
    return write.add("Reshape", name, write.constant(np.array([0, *shape])), output=output)


REWRITES: Mapping[str, Callable[[GraphNode, Shapes, Constants, NodeWriter], None]] = {
    "ReduceMax": reduce_max,
    "ReduceMin": reduce_min,
    "ReduceSum": reduce_sum,
    "Max": maximum,
    "Min": minimum,
    "Mean": mean_of,
    "HardSigmoid": hard_sigmoid,
    "Einsum": einsum,
}
