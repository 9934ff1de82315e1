"""The architecture of a network: operators, their order and their settings, and the places of its tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from onnxbound.codec.levels import Filters
from onnxbound.codec.vocabulary import WORDS
from onnxbound.codec.window_words import unfolded
from onnxbound.operators.calculus import Symbol, Tensor
from onnxbound.operators.emitter import Emitter
from onnxbound.operators.operator import Array, Operator, Shape

INPUT, OUTPUT = "input", "logits"


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
        mirrored: Whether the logits are the mean of those of an image and of its mirror image.
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
    def held(self) -> int:
        """The most numbers that one row may take at a time: all tensors, and the windows of one operator side by side.

        A tensor may be read much later, so the largest tensor alone says too little.
        """
        windows = (max(unfolded(node.operator, self.shapes[node.inputs[0]])) for node in self.nodes)
        return (1 + self.mirrored) * sum(map(prod, self.shapes)) + max(windows)

    @property
    def width_axis(self) -> int:
        """The axis of an image that its mirror image has backwards: the last, or with channels last the one before.

        Channels are last where the first axis is longer than the last.

        >>> Architecture((3, 32, 32), ()).width_axis, Architecture((32, 32, 3), ()).width_axis
        (-1, -2)
        """
        return -2 if self.input_shape[0] > self.input_shape[-1] else -1

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
        image = Symbol(emitter, INPUT, (-1, *self.input_shape))
        last = self._written(image)
        if self.mirrored:
            backwards = image[..., ::-1] if self.width_axis == -1 else image[..., ::-1, :]
            last = (last + self._written(backwards)) * 0.5
        emitter.rename(last.name, OUTPUT)
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

    def _written(self, rows: Symbol) -> Symbol:
        """The logits of rows."""
        values: list[Tensor] = [rows]
        for node in self.nodes:
            values.append(node.operator.act(*(values[k] for k in node.inputs)))
        logits: Symbol = values[-1]
        return logits


def tensors_of(operator: Operator) -> Iterator[tuple[str, Array]]:
    """Name and value of an operator's tensors; a single number does not count as one."""
    for word in WORDS:
        if type(operator) is word.kind:
            for name in word.tensors:
                values: Array | None = getattr(operator, name)
                if values is not None and values.ndim > 0:
                    yield name, values


def has_mirror_image(shape: Shape) -> bool:
    """Whether a row is an image, so that a code can say that its mirror image is seen too.

    >>> has_mirror_image((3, 32, 32)), has_mirror_image((784,))
    (True, False)
    """
    return len(shape) == 3


def _without_last_identity(model: ModelProto) -> None:
    """Let the node before it write the logits, if there is one."""
    source = model.graph.node[-1].input[0]
    if not any(source in node.output for node in model.graph.node):  # it is the input itself
        return
    model.graph.node.pop()
    for node in model.graph.node:
        node.output[:] = [OUTPUT if name == source else name for name in node.output]
        node.input[:] = [OUTPUT if name == source else name for name in node.input]


def _name_holes(model: ModelProto, names: Mapping[str, str]) -> None:
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
