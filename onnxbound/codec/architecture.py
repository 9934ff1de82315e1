"""The architecture of a network as decisions: its operators, their order, their inputs and their settings.

A sentence is a list of nodes. Each names its operator, whose probability depends on the operator before it, then the
tensors that it reads, then its settings. The end can be said only where the last tensor is a vector of K logits and
every other tensor is read, so nothing unreachable is ever written. No operator of the grammar knows the batch axis.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from onnxbound.codec.grammar import Grammar
from onnxbound.codec.input_words import code_inputs
from onnxbound.codec.levels import Filters
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.vocabulary import WORDS, code_shape
from onnxbound.codec.window_words import LARGEST_ROW, unfolded
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.dense import Dense
from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.operator import Array, Operator, Shape, Unsupported
from onnxbound.operators.weighted import Weighted

INPUT, OUTPUT = "input", "logits"

LARGEST_COUNT = 1 << 22
"""Numbers in all tensors; a file of a few bytes may spell millions of zeros, and reading them takes a minute."""

_LARGEST_NODES = 1 << 14
_LARGEST_WORK = 1 << 33
"""Products that one row may take."""

_IMPOSSIBLE = (ArithmeticError, LookupError, TypeError, ValueError, Unsupported)
"""What an operator raises of shapes that it does not take: a Conv of a single number, say."""

_CLASSES, _CLASS_WEIGHTS = (10, 2, 100, 1000, 3), (8, 2, 2, 1, 1, 2)
_SIDES, _SIDE_WEIGHTS = (32, 28, 224, 64, 96), (6, 6, 1, 1, 1, 1)
_CHANNELS, _CHANNEL_WEIGHTS = (1, 3), (7, 8, 1)

_NAMES = (
    "Conv", "Dense", "Relu", "MaxPool", "Reshape", "Add", "AveragePool", "Mean", "LeakyRelu", "Clip",
    "ElementwiseAffine", "Concat", "Smooth", "Softmax", "Product", "MatrixProduct", "Transpose", "Pad", "Select",
    "SaturatingRounding",
)  # fmt: skip
_FOLLOWING: Mapping[str, Mapping[str, int]] = {
    "": {"Conv": 40, "Dense": 20, "Reshape": 20, "ElementwiseAffine": 6, "Transpose": 4},
    "Conv": {"Relu": 60, "Conv": 12, "Add": 12, "MaxPool": 4, "LeakyRelu": 6, "Smooth": 6, "Clip": 4},
    "Dense": {"Relu": 40, "end": 40, "LeakyRelu": 5, "Smooth": 6, "Dense": 2, "Add": 4, "Reshape": 4},
    "MaxPool": {"Conv": 30, "Reshape": 25, "Relu": 8, "Concat": 3},
    "Reshape": {"Dense": 60, "Conv": 3, "Transpose": 5},
    "Add": {"Relu": 30, "Conv": 20, "Mean": 4, "ElementwiseAffine": 8},
    "AveragePool": {"Conv": 15, "Reshape": 30, "Concat": 4},
    "Mean": {"Reshape": 60, "Dense": 15, "Add": 10},
    "gate": {"Conv": 40, "Dense": 22, "MaxPool": 16, "Reshape": 10, "Mean": 6, "AveragePool": 4, "Add": 2, "Concat": 2},
    "other": {"Conv": 5, "Dense": 5, "Relu": 5, "Reshape": 5, "Add": 4, "end": 2},
}
"""What the next operator is, by the one before: weights, 1 for those that are not named."""

_GATES = ("Relu", "LeakyRelu", "Clip", "Smooth")


@dataclass(frozen=True, slots=True)
class CodedNode:
    """An operator and the numbers of the tensors it reads: 0 for the row, k for the result of the k-th node.

    Attributes:
        operator: In float32; its tensors may be placeholders without numbers.
        inputs: Tensor numbers.
    """

    operator: Operator
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hole:
    """A tensor of an architecture, without its numbers.

    Attributes:
        node: Place of the node among the architecture's nodes.
        attribute: Attribute of the node's operator that holds the tensor.
        shape: Shape of the tensor.
    """

    node: int
    attribute: str
    shape: Shape

    @property
    def name(self) -> str:
        """Its name, for messages and models."""
        return f"{self.attribute}_{self.node + 1}"

    @property
    def filters(self) -> Filters:
        """The shape as filters, channels, height, width: the order in which it is written."""
        shape = self.shape
        if len(shape) == 1:
            return (shape[0], 1, 1, 1)
        if len(shape) == 2:
            return (shape[0], shape[1], 1, 1)
        return (shape[0], shape[1], prod(shape[2:-1]), shape[-1])


@dataclass(frozen=True)
class Architecture:
    """A network without its tensors.

    Attributes:
        input_shape: Shape of a row.
        nodes: In topological order; the last writes the logits.
        mirrored: Whether the logits are the mean of those of an image and of its mirror image, along the last axis.
    """

    input_shape: Shape
    nodes: tuple[CodedNode, ...]
    mirrored: bool = False

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape of a row of each tensor."""
        shapes = [self.input_shape]
        for node in self.nodes:
            shapes.append(node.operator.output_shape(*(shapes[k] for k in node.inputs)))
        return tuple(shapes)

    @property
    def classes(self) -> int:
        """K."""
        return self.shapes[-1][0]

    @property
    def largest(self) -> int:
        """The most numbers that one row takes at a time: a tensor with its padding, or its windows side by side."""
        held = (max(unfolded(node.operator, self.shapes[node.inputs[0]])) for node in self.nodes)
        return max(*map(prod, self.shapes), *held)

    @cached_property
    def holes(self) -> tuple[Hole, ...]:
        """The tensors, in the order in which they are written."""
        return tuple(
            Hole(place, name, values.shape)
            for place, node in enumerate(self.nodes)
            for name, values in tensors_of(node.operator)
        )

    def filled(self, tensors: Sequence[NDArray[np.float32]]) -> "Architecture":
        """The architecture with numbers in all holes."""
        left = iter(tensors)
        nodes = []
        for node in self.nodes:
            values = {name: next(left) for name, _ in tensors_of(node.operator)}
            nodes.append(replace(node, operator=replace(node.operator, **values) if values else node.operator))  # type: ignore[type-var]
        return replace(self, nodes=tuple(nodes))

    def model(self, open_holes: Sequence[int] = ()) -> ModelProto:
        """The network as an ONNX model; the holes asked for are inputs of the graph, by their names, after the rows."""
        emitter = Emitter()
        arrays = [dict(tensors_of(self.nodes[hole.node].operator))[hole.attribute] for hole in self.holes]
        names = {emitter.constant(array): hole for array, hole in zip(arrays, self.holes, strict=True)}
        last = self._written(emitter, INPUT)
        if self.mirrored:
            backwards = [emitter.integers(number) for number in (-1, np.iinfo(np.int64).min, -1, -1)]
            other = self._written(emitter, emitter.node("Slice", INPUT, *backwards))
            last = emitter.node("Mul", emitter.node("Add", last, other), emitter.number(0.5))
        emitter.rename(last, OUTPUT)
        rows = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", *self.input_shape])
        logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", self.classes])
        model = emitter.model([rows], [logits])
        _without_last_identity(model)
        _name_holes(model, {name: hole.name for name, hole in names.items()})
        opened = {self.holes[k].name: self.holes[k].shape for k in open_holes}
        for name, shape in opened.items():
            model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        constants = [tensor for tensor in model.graph.initializer if tensor.name not in opened]
        del model.graph.initializer[:]
        model.graph.initializer.extend(constants)
        return model

    def _written(self, emitter: Emitter, rows: str) -> str:
        """The logits of rows."""
        values = [Value(rows, self.input_shape)]
        for node in self.nodes:
            values.append(node.operator.emit_act(emitter, *(values[k] for k in node.inputs)))
        return values[-1].name


def tensors_of(operator: Operator) -> Iterator[tuple[str, Array]]:
    """Name and value of an operator's tensors; a single number does not count as one."""
    for word in WORDS:
        if type(operator) is word.kind:
            for name in word.tensors:
                values: Array | None = getattr(operator, name)
                if values is not None and values.ndim > 0:
                    yield name, values


def code_architecture(g: Grammar, given: Architecture | None) -> Architecture:
    """Write or read an architecture.

    Raises:
        Malformed: The network is too large, the code format lacks an operator, or what is read contradicts itself.
    """
    try:
        return _code_architecture(g, given)
    except Unsupported as error:
        raise Malformed(error.why) from error


def _code_architecture(g: Grammar, given: Architecture | None) -> Architecture:
    classes = g.usual(None if given is None else given.classes, _CLASSES, _CLASS_WEIGHTS)
    if classes < 2:
        raise Malformed("a classifier has at least two classes")
    shapes = [_code_input_shape(g, None if given is None else given.input_shape)]
    mirrored = has_mirror_image(shapes[0]) and g.flag(None if given is None else given.mirrored, 1, 7)
    if given is not None and given.mirrored != mirrored:
        raise Malformed("only an image has a mirror image")
    nodes: list[CodedNode] = []
    unread = [0]
    work = numbers = 0
    while True:
        last = len(nodes)
        node = None if given is None or last == len(given.nodes) else given.nodes[last]
        complete = last > 0 and unread == [last] and shapes[-1] == (classes,)
        place = _code_kind(g, _place_of(given, node), nodes, complete=complete)
        if place == len(WORDS):
            break
        inputs = code_inputs(g, None if node is None else node.inputs, WORDS[place].inputs, last, unread)
        before = tuple(shapes[k] for k in inputs)
        extra = (classes,) if WORDS[place].kind is Dense else ()
        try:
            operator = WORDS[place].code(g, None if node is None else node.operator, before, *extra)
            shapes.append(operator.output_shape(*before))
        except _IMPOSSIBLE as error:
            raise Malformed(f"a {WORDS[place].kind.__name__} cannot take inputs of the shapes {before}") from error
        nodes.append(CodedNode(operator, inputs))
        unread.append(last + 1)
        done = sum(map(prod, (*before, shapes[-1])))
        if isinstance(operator, Weighted):
            done += operator.weight.size * operator.positions(before[0])
        elif isinstance(operator, MaxPool | AveragePool):
            done += prod(operator.windows.kernel) * prod(shapes[-1])
        work += (1 + mirrored) * done
        numbers += sum(values.size for _, values in tensors_of(operator))
        if (
            max(prod(shapes[-1]), *unfolded(operator, before[0])) > LARGEST_ROW
            or work > _LARGEST_WORK
            or len(nodes) > _LARGEST_NODES
        ):
            raise Malformed("a row of the network would take too much memory or time")
        if numbers > LARGEST_COUNT:
            raise Malformed(f"the network has more than {LARGEST_COUNT:,} numbers")
    return given or Architecture(shapes[0], tuple(nodes), mirrored)


def has_mirror_image(shape: Shape) -> bool:
    """Whether a row is an image, so that a code can say that its mirror image is seen too.

    >>> has_mirror_image((3, 32, 32)), has_mirror_image((784,))
    (True, False)
    """
    return len(shape) == 3


def _code_input_shape(g: Grammar, given: Shape | None) -> Shape:
    """A square image, an image, or any other shape."""
    square = given is not None and len(given) == 3 and given[1] == given[2]
    if g.flag(None if given is None else square, 3, 1):
        channels = g.usual(None if given is None else given[0], _CHANNELS, _CHANNEL_WEIGHTS)
        side = g.usual(None if given is None else given[1], _SIDES, _SIDE_WEIGHTS)
        image: Shape = (channels, side, side)
        if not 0 < prod(image) <= LARGEST_ROW:
            raise Malformed("a row is empty or too large")
        return image
    shape = code_shape(g, given)
    if not shape or (len(shape) == 3 and shape[1] == shape[2]):
        raise Malformed("the shape of a row is not in its shortest form")
    return shape


def _place_of(given: Architecture | None, node: CodedNode | None) -> int | None:
    if given is None:
        return None
    if node is None:
        return len(WORDS)
    for place, word in enumerate(WORDS):
        if type(node.operator) is word.kind:
            return place
    raise Malformed(f"a code cannot express the operator {type(node.operator).__name__}")


def _code_kind(g: Grammar, given: int | None, nodes: list[CodedNode], *, complete: bool) -> int:
    """The place of the next word, or of the end behind them all."""
    before = type(nodes[-1].operator).__name__ if nodes else ""
    likely = _FOLLOWING.get("gate" if before in _GATES else before, _FOLLOWING["other"])
    weights = [likely.get(name, 1) for name in _NAMES]
    return g.choice(given, (*weights, likely.get("end", 1) if complete else 0))


def _without_last_identity(model: ModelProto) -> None:
    """Let the node before it write the logits."""
    source = model.graph.node.pop().input[0]
    for node in model.graph.node:
        node.output[:] = [OUTPUT if name == source else name for name in node.output]
        node.input[:] = [OUTPUT if name == source else name for name in node.input]


def _name_holes(model: ModelProto, names: Mapping[str, str]) -> None:
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
