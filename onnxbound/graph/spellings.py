"""Operators that others replace once the shapes of their inputs are known.

Each function writes nodes whose last output is the output of the node it replaces, or none to leave it as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from onnxbound.graph.attention import attention
from onnxbound.graph.concat import concat
from onnxbound.graph.einsum import einsum
from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.graph.resize import resize
from onnxbound.operators.mean import row_axes
from onnxbound.operators.operator import Array, Shape, Unsupported

Shapes = Mapping[str, Shape]
Constants = Mapping[str, Array]


def reduce_max(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """ReduceMax: a Transpose moves the axes to the end, a MaxPool reduces them, a Reshape gives the output's shape."""
    x = node.inputs[0]
    shape, attributes = shapes[x], node.attributes()
    axes = constants.get(node.inputs[1]) if len(node.inputs) > 1 else attributes.get("axes")
    if axes is None or np.size(axes) == 0:
        raise Unsupported("it reduces over the batch axis as well")
    gone = sorted(row_axes(np.asarray(axes), len(shape)))
    kept = [axis for axis in range(len(shape)) if axis not in gone]
    length = prod(shape[axis] for axis in gone)
    moved = write.add("Transpose", x, perm=[0, *(axis + 1 for axis in (*kept, *gone))])
    rows = write.reshape(moved, (prod(shape) // length, length))
    largest = write.add("MaxPool", rows, kernel_shape=[length])
    keep = attributes.get("keepdims", 1)
    final = [1 if axis in gone else n for axis, n in enumerate(shape) if keep or axis not in gone]
    write.reshape(largest, tuple(final), output=node.outputs[0])


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
        raise Unsupported("it reduces over the batch axis as well")
    count = prod(shape[axis] for axis in row_axes(np.asarray(axes), len(shape)))
    if not count:
        raise Unsupported("it adds up nothing")
    mean = write.mean(node.inputs[0], np.ravel(axes).tolist(), keep=bool(attributes.get("keepdims", 1)))
    write.add("Mul", mean, write.constant(np.float32(count)), output=node.outputs[0])


def reduce_l2(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """ReduceL2 and ReduceSumSquare: a ReduceSum of the squares; ReduceL2 also takes the square root."""
    x = node.inputs[0]
    attributes, inputs = dict(node.attributes()), list(node.inputs[1:])
    if write.opset >= 13 and "axes" in attributes:
        inputs = [write.constant(np.array(attributes.pop("axes")))]
    elif write.opset < 13 and inputs:
        raise Unsupported("its axes are an input, which its opset does not have")
    last = node.outputs[0]
    root = node.op_type == "ReduceL2"
    total = write.add("ReduceSum", write.add("Mul", x, x), *inputs, output="" if root else last, **attributes)
    if root:
        write.add("Sqrt", total, output=last)


def maximum(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Max: for activations, Concat and MaxPool; for an activation x and a constant c, c + Relu(x - c)."""
    if any(name in constants for name in node.inputs):
        x, c = _with_constant(node, constants)
        above = write.add("Relu", write.add("Sub", x, c))
        write.add("Add", above, c, output=node.outputs[0])
        return
    shape = shapes[node.inputs[0]]
    if any(shapes[name] != shape for name in node.inputs):
        raise Unsupported("it compares activations of different shapes")
    columns = [write.reshape(name, (prod(shape), 1)) for name in node.inputs]
    largest = write.add("MaxPool", write.add("Concat", *columns, axis=2), kernel_shape=[len(columns)])
    write.reshape(largest, shape, output=node.outputs[0])


def minimum(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Min: for activations x and y, -Max(-x, -y); for an activation x and a constant c, c - Relu(c - x)."""
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


def total(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Sum: a chain of Add, if an input is a constant or shapes differ."""
    if len({shapes.get(name) for name in node.inputs}) == 1 or len(node.inputs) == 1:
        return
    (first, *others), last = node.inputs, len(node.inputs) - 1
    for place, other in enumerate(others, start=1):
        first = write.add("Add", first, other, output=node.outputs[0] if place == last else "")


def mean_of(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Mean: the sum of the activations, divided by their number."""
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


def broadcast(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Add, Mul and Sub: an Expand repeats an activation that has to be broadcast."""
    if len(node.inputs) != 2 or (node.op_type == "Mul" and shapes.keys() >= set(node.inputs)):
        return
    rank = max(len(shapes[name]) for name in node.inputs if name in shapes)
    rows = [shapes[name] if name in shapes else np.shape(constants[name])[-rank:] for name in node.inputs]
    fixed = [np.shape(constants[name]) for name in node.inputs if name in constants]
    if any(len(shape) > rank + 1 or (len(shape) == rank + 1 and shape[0] != 1) for shape in fixed):
        return
    try:
        common = np.broadcast_shapes(*rows)
    except ValueError:
        return
    short = [name for name in node.inputs if name in shapes and shapes[name] != common]
    if not short or any(len(shapes[name]) != rank for name in node.inputs if name in shapes):
        return
    target = write.constant(np.array([1, *common]))
    terms = [write.add("Expand", name, target) if name in short else name for name in node.inputs]
    write.add(node.op_type, *terms, output=node.outputs[0])


def quotient(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Div: a division by an activation becomes a Mul with the activation's reciprocal."""
    if node.inputs[1] in shapes:
        write.add("Mul", node.inputs[0], write.add("Reciprocal", node.inputs[1]), output=node.outputs[0])


def weight_on_the_left(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """MatMul: W x, with a constant W, becomes (x^T W^T)^T if x is a batch of matrices; ^T swaps the last two axes."""
    weight = constants.get(node.inputs[0])
    if weight is None or np.ndim(weight) != 2 or len(shapes[node.inputs[1]]) < 2:
        return
    rank = len(shapes[node.inputs[1]]) + 1
    swap = [*range(rank - 2), rank - 1, rank - 2]
    right = write.constant(np.ascontiguousarray(np.asarray(weight).T), origin=node.inputs[0])
    product = write.add("MatMul", write.add("Transpose", node.inputs[1], perm=swap), right)
    write.add("Transpose", product, perm=swap, output=node.outputs[0])


def layer_normalization(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """LayerNormalization: (x - mean) / sqrt(variance + epsilon) over the axes from `axis` on, scaled and shifted."""
    rank, attributes = len(shapes[node.inputs[0]]) + 1, node.attributes()
    first = int(attributes.get("axis", -1)) % rank
    normal = _standardised(write, node.inputs[0], list(range(first, rank)), float(attributes.get("epsilon", 1e-5)))
    _affine(write, normal, node.inputs[1:], node.outputs[0])


def group_normalization(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """GroupNormalization and InstanceNormalization: (x - mean) / sqrt(variance + epsilon) per group, scaled, shifted.

    In InstanceNormalization, each channel is a group. One scale per group, as in opset 18, is refused.
    """
    (channels, *places), attributes = shapes[node.inputs[0]], node.attributes()
    groups = int(attributes.get("num_groups", channels))
    scale, bias = (np.asarray(constants[name]).ravel() for name in node.inputs[1:3])
    if scale.size != channels:
        raise Unsupported("it has one scale per group, as opset 18 wrote it", "export with opset 21 or newer")
    grouped = write.reshape(node.inputs[0], (groups, channels // groups * prod(places)))
    normal = _standardised(write, grouped, [2], float(attributes.get("epsilon", 1e-5)))
    if np.all(scale == 1) and not np.any(bias):
        write.reshape(normal, (channels, *places), output=node.outputs[0])
        return
    ones = (1,) * len(places)
    extra = [
        write.constant(value.reshape(channels, *ones), origin=name)
        for value, name in zip((scale, bias), node.inputs[1:3], strict=True)
    ]
    _affine(write, write.reshape(normal, (channels, *places)), extra, node.outputs[0])


def local_response(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """LRN: x (bias + alpha m)^-beta, where m is the mean square of `size` neighbouring channels.

    Channels beyond the ends count as zeros.
    """
    del constants
    x, attributes = node.inputs[0], node.attributes()
    channels, *places = shapes[x]
    size = int(attributes["size"])
    before, behind = (size - 1) // 2, size // 2
    column = write.reshape(write.add("Mul", x, x), (1, channels, prod(places)))
    pads = [before, 0, behind, 0]
    pooled = write.add("AveragePool", column, kernel_shape=[size, 1], pads=pads, count_include_pad=1)
    mean = write.reshape(pooled, (channels, *places))
    scaled = write.add("Mul", mean, write.constant(np.float32(attributes.get("alpha", 1e-4))))
    base = write.add("Add", scaled, write.constant(np.float32(attributes.get("bias", 1.0))))
    power = write.add("Pow", base, write.constant(np.float32(-attributes.get("beta", 0.75))))
    write.add("Mul", x, power, output=node.outputs[0])


def _standardised(write: NodeWriter, x: str, axes: list[int], epsilon: float) -> str:
    centred = write.add("Sub", x, write.mean(x, axes, keep=True))
    variance = write.mean(write.add("Mul", centred, centred), axes, keep=True)
    deviation = write.add("Sqrt", write.add("Add", variance, write.constant(np.float32(epsilon))))
    return write.add("Mul", centred, write.add("Reciprocal", deviation))


def _affine(write: NodeWriter, x: str, constants: Sequence[str], output: str) -> None:
    scaled = write.add("Mul", x, constants[0], output=output if len(constants) == 1 else "")
    if len(constants) > 1:
        write.add("Add", scaled, constants[1], output=output)


SPELLINGS: Mapping[str, Callable[[GraphNode, Shapes, Constants, NodeWriter], None]] = {
    "ReduceMax": reduce_max,
    "ReduceMin": reduce_min,
    "ReduceSum": reduce_sum,
    "ReduceL2": reduce_l2,
    "ReduceSumSquare": reduce_l2,
    "Concat": concat,
    "Max": maximum,
    "Min": minimum,
    "Mean": mean_of,
    "Sum": total,
    "HardSigmoid": hard_sigmoid,
    "Einsum": einsum,
    "Attention": attention,
    "Add": broadcast,
    "Sub": broadcast,
    "Mul": broadcast,
    "Div": quotient,
    "MatMul": weight_on_the_left,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": group_normalization,
    "LRN": local_response,
    "Resize": resize,
    "Upsample": resize,
}
