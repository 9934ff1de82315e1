"""The skeleton of a network: its graph with every floating number taken out, in one canonical form.

The holes are inputs of the graph. Names, documentation and metadata are gone, integers are only shapes, axes and
paddings, so two networks of one architecture have the same skeleton, byte for byte, and none can hide weights there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from onnxbound.operators.emitter import IR_VERSION, OPSET

INPUT, OUTPUT = "input", "logits"

_GEOMETRY = frozenset({"kernel_shape", "strides", "dilations", "pads"})
_ATTRIBUTES: dict[str, frozenset[str]] = {
    "Abs": frozenset(),
    "Add": frozenset(),
    "AveragePool": _GEOMETRY - {"dilations"} | {"count_include_pad"},
    "Clip": frozenset(),
    "Concat": frozenset({"axis"}),
    "Conv": _GEOMETRY | {"group"},
    "Div": frozenset(),
    "Erf": frozenset(),
    "Exp": frozenset(),
    "Gemm": frozenset({"transB"}),
    "Greater": frozenset(),
    "MaxPool": _GEOMETRY,
    "Mul": frozenset(),
    "Neg": frozenset(),
    "PRelu": frozenset(),
    "Pad": frozenset(),
    "Pow": frozenset(),
    "ReduceMean": frozenset({"keepdims"}),
    "Relu": frozenset(),
    "Reshape": frozenset(),
    "Sigmoid": frozenset(),
    "Softplus": frozenset(),
    "Sub": frozenset(),
    "Tanh": frozenset(),
    "Transpose": frozenset({"perm"}),
    "Where": frozenset(),
}
"""Operators of a skeleton, and the integer attributes each may have; no Gather, whose indices could carry weights."""

_INTEGER_INPUTS = {"Pad": 1, "ReduceMean": 1, "Reshape": 1}
"""Which input may be a constant of integers."""

_AXES = 8
_LONGEST = 64
"""Integers in one attribute or constant."""

LARGEST_BYTES = 16 << 20
LARGEST_COUNT = 1 << 22
"""Numbers in all holes; a file of a few bytes may spell millions of zeros, and reading them takes a minute."""


class Malformed(Exception):  # noqa: N818 - a verdict on bytes, turned into an error by whoever read the file
    """Bytes that are no skeleton or no code of one."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A tensor of floats that is missing.

    Attributes:
        name: Its name in the skeleton.
        shape: Its shape.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def filters(self) -> tuple[int, int, int, int]:
        """The shape as filters, channels, height, width: the order in which it is written."""
        shape = self.shape
        if len(shape) <= 1:
            return (shape[0] if shape else 1, 1, 1, 1)
        if len(shape) == 2:
            return (shape[0], shape[1], 1, 1)
        return (shape[0], shape[1], prod(shape[2:-1]), shape[-1])


@dataclass(frozen=True)
class Skeleton:
    """A canonical graph and its holes.

    Attributes:
        model: The graph; its first input are the rows, the others are the holes.
        holes: In the order of the inputs.
    """

    model: ModelProto
    holes: tuple[Hole, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return _dims(self.model.graph.input[0])[1:]

    @property
    def classes(self) -> int:
        """K."""
        return _dims(self.model.graph.output[0])[-1]

    def to_bytes(self) -> bytes:
        """The file."""
        return bytes(self.model.SerializeToString(deterministic=True))

    def filled(self, tensors: Mapping[str, NDArray[np.float32]]) -> ModelProto:
        """The network with the given float32 tensors in its holes, a model of one input."""
        model = ModelProto()
        model.CopyFrom(self.model)
        del model.graph.input[1:]
        model.graph.initializer.extend(numpy_helper.from_array(tensors[hole.name], hole.name) for hole in self.holes)
        return model


def read_skeleton(data: bytes) -> Skeleton:
    """A skeleton from a file.

    Raises:
        Malformed: It is none, or not in its canonical form.
    """
    if len(data) > LARGEST_BYTES:
        raise Malformed(f"the skeleton has {len(data)} bytes, more than {LARGEST_BYTES}")
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise Malformed("the skeleton is no ONNX model") from error
    skeleton = canonical(model)
    if skeleton.to_bytes() != data:
        raise Malformed("the skeleton is not in its canonical form")
    return skeleton


def canonical(model: ModelProto) -> Skeleton:
    """Build a model anew from what a skeleton may contain, and nothing else.

    Raises:
        Malformed: It contains something else.
    """
    graph = model.graph
    if not graph.input or len(graph.output) != 1:
        raise Malformed("a skeleton has inputs and one output")
    nodes = _needed(graph.node, graph.output[0].name)
    integers = {tensor.name: _integers(tensor) for tensor in graph.initializer}
    names = {"": "", graph.input[0].name: INPUT}
    if not nodes:
        raise Malformed("a skeleton has nodes")
    declared = {value.name: _dims(value) for value in graph.input}
    holes: list[Hole] = []
    constants = []
    known: dict[tuple[int, ...], str] = {}
    written = []
    for number, node in enumerate(nodes):
        for place, name in enumerate(node.input):
            if name in integers:
                if _INTEGER_INPUTS.get(node.op_type) != place:
                    raise Malformed(f"{node.op_type} has a constant of integers as input {place}")
                values = integers[name]
                if values not in known:
                    known[values] = f"integers_{len(known)}"
                    constants.append(numpy_helper.from_array(np.array(values, np.int64), known[values]))
                names[name] = known[values]
            elif name not in names:
                if name not in declared:
                    raise Malformed("a tensor is read before it is written")
                names[name] = f"hole_{len(holes)}"
                holes.append(Hole(names[name], declared[name]))
        output = OUTPUT if number == len(nodes) - 1 else f"tensor_{number}"
        written.append(helper.make_node(node.op_type, [names[name] for name in node.input], [output]))
        written[-1].attribute.extend(_attributes(node))
        if not node.output or node.output[0] in names:
            raise Malformed("a tensor is written twice")
        names[node.output[0]] = output
    row, logits = _dims(graph.input[0]), _dims(graph.output[0])
    if len(row) < 2 or len(logits) != 2 or logits[1] < 2 or (row[0], logits[0]) != (0, 0):
        raise Malformed("a skeleton takes rows and gives a vector of logits for each")
    inputs = [_value(INPUT, row), *(_value(hole.name, hole.shape) for hole in holes)]
    if any(n < 1 for hole in holes for n in hole.shape) or len(row) > _AXES or any(len(h.shape) > _AXES for h in holes):
        raise Malformed("a tensor of a skeleton has a length below 1 or too many axes")
    count = sum(prod(hole.shape) for hole in holes)
    if count > LARGEST_COUNT:
        raise Malformed(f"the network has {count:,} numbers; a code has at most {LARGEST_COUNT:,}")
    built = helper.make_model(
        helper.make_graph(written, "skeleton", inputs, [_value(OUTPUT, logits)], constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    return Skeleton(built, tuple(holes))


def _needed(nodes: Any, output: str) -> list[NodeProto]:
    """The nodes that the output depends on, in their order; the last writes it."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if node.output and node.output[0] in wanted:
            if node.op_type not in _ATTRIBUTES or node.domain:
                raise Malformed(f"a skeleton contains no {node.op_type}")
            kept.append(node)
            wanted.update(node.input)
    kept.reverse()
    if kept and kept[-1].output[0] != output:
        raise Malformed("the last node does not write the output")
    return kept


def _attributes(node: NodeProto) -> list[AttributeProto]:
    result = []
    for attribute in sorted(node.attribute, key=lambda a: a.name):
        value = helper.get_attribute_value(attribute)
        numbers = value if isinstance(value, list) else [value]
        if attribute.name not in _ATTRIBUTES[node.op_type] or not all(type(n) is int for n in numbers):
            raise Malformed(f"{node.op_type} has the attribute {attribute.name!r}, or one that is no integer")
        if len(numbers) > _LONGEST:
            raise Malformed(f"{node.op_type} has {len(numbers)} integers in one attribute")
        if numbers:
            result.append(helper.make_attribute(attribute.name, value))
    return result


def _integers(tensor: TensorProto) -> tuple[int, ...]:
    if tensor.data_type != TensorProto.INT64 or len(tensor.dims) != 1 or not 0 < tensor.dims[0] <= _LONGEST:
        raise Malformed("a constant of a skeleton is not a short vector of integers")
    if tensor.data_location == TensorProto.EXTERNAL:
        raise Malformed("a constant of a skeleton lies in another file")
    try:
        values = numpy_helper.to_array(tensor)
    except ValueError as error:
        raise Malformed("a constant of a skeleton is damaged") from error
    return tuple(map(int, values))


def _dims(value: ValueInfoProto) -> tuple[int, ...]:
    """Lengths of the axes, 0 for that of the rows."""
    if value.type.tensor_type.elem_type != TensorProto.FLOAT:
        raise Malformed("a tensor of a skeleton is not of type float32")
    return tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim)


def _value(name: str, dims: tuple[int, ...]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [n or "n" for n in dims])
