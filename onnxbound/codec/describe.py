"""Separate a network into its architecture and its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.grammar import LARGEST, SMALLEST, Grammar
from onnxbound.codec.mixing import Writer
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.select_words import LARGEST_COUNT
from onnxbound.codec.sentence import code_architecture
from onnxbound.codec.window_words import trimmed
from onnxbound.graph.layer import Step
from onnxbound.graph.network import Network
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.branches import Add
from onnxbound.operators.clip import Clip
from onnxbound.operators.conv import Conv
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.leaky_relu import LeakyRelu
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.operator import Operator, Shape
from onnxbound.operators.pad import Pad
from onnxbound.operators.quantisation import SaturatingRounding
from onnxbound.operators.smooth import Smooth, smooth
from onnxbound.operators.weighted import Weighted


@dataclass(frozen=True, slots=True)
class Description:
    """A network as its architecture and its tensors.

    Attributes:
        architecture: Its operators, with their tensors.
        tensors: Name of each hole of the architecture to its float32 tensor, in the order of the holes.
        parameters: The holes that are A^i or bias of a layer, in the order of `onnxbound.linear.gradient.parameters`.
    """

    architecture: Architecture
    tensors: Mapping[str, NDArray[np.float32]]
    parameters: tuple[str, ...]


def describe(network: Network) -> Description:
    """Separate a network into its architecture and its tensors.

    Raises:
        Malformed: It has an operator, a number or a size that a code cannot express.
    """
    if network.parameters > LARGEST_COUNT:
        raise Malformed(f"the network has {network.parameters:,} numbers; a code has at most {LARGEST_COUNT:,}")
    single = network.cast(np.float32)
    places = {single.input: 0}
    nodes: list[CodedNode] = []
    for step in _needed(single):
        inputs = tuple(places[name] for name in step.inputs)
        operator = _normal(step.operator, single.shapes[step.inputs[0]])
        if isinstance(operator, Add) and min(operator.signs) > 0:
            inputs = tuple(sorted(inputs, reverse=True))
        nodes.append(CodedNode(operator, inputs))
        places[step.output] = len(nodes)
    architecture = Architecture(single.input_shape, tuple(nodes))
    code_architecture(Grammar(Writer()), architecture)
    layers = [k for k, node in enumerate(nodes) if isinstance(node.operator, Weighted)]
    tensors = {hole.name: getattr(nodes[hole.node].operator, hole.attribute) for hole in architecture.holes}
    return Description(
        architecture=architecture,
        tensors=tensors,
        parameters=tuple(hole.name for k in layers for hole in architecture.holes if hole.node == k),
    )


def _needed(network: Network) -> list[Step]:
    """The steps that the logits depend on."""
    wanted, kept = {network.output}, []
    for step in reversed(network.steps):
        if step.output in wanted:
            kept.append(step)
            wanted.update(step.inputs)
    return kept[::-1]


def _normal(operator: Operator, shape: Shape) -> Operator:
    """The same function with numbers in float32 and nothing said that makes no difference."""
    if isinstance(operator, Weighted):
        bias = None if operator.bias is None else _single(operator.bias)
        operator = replace(operator, weight=_single(operator.weight), bias=bias)
        return replace(operator, windows=trimmed(operator.windows)) if isinstance(operator, Conv) else operator
    if isinstance(operator, MaxPool):
        return MaxPool(trimmed(operator.windows))
    if isinstance(operator, AveragePool):
        windows = operator.windows
        counted = operator.count_pads and any((*windows.begin, *windows.end))
        return AveragePool(windows if counted and windows.ceil else trimmed(windows), counted)
    if isinstance(operator, LeakyRelu):
        return LeakyRelu(_broadcast(operator.negative_slope, shape))
    if isinstance(operator, ElementwiseAffine):
        scale, shift = _broadcast(operator.scale, shape), _broadcast(operator.shift, shape)
        return ElementwiseAffine(scale, shift, operator.trained)
    if isinstance(operator, Clip):
        return Clip(_number(operator.low), _number(operator.high))
    if isinstance(operator, Pad):
        return replace(operator, value=_number(operator.value))
    if isinstance(operator, SaturatingRounding):
        return replace(operator, scale=_number(operator.scale))
    if isinstance(operator, Smooth):
        return smooth(operator.form, *map(_number, operator.numbers))
    return operator


def _broadcast(values: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """One number where all are equal, else of as many axes as the row."""
    single = _single(values)
    if single.size == 1 or np.all(single == single.flat[0]):
        return np.array(single.flat[0])
    return single.reshape((1,) * (len(shape) - single.ndim) + single.shape)


def _single(values: NDArray[Any]) -> NDArray[Any]:
    """A copy in float32 and C order, without numbers so small that processors treat them in different ways."""
    with np.errstate(over="ignore"):
        single = np.array(values, np.float32, order="C")
    single[np.abs(single) < SMALLEST] = 0
    if not np.all(np.abs(single) <= LARGEST):
        raise Malformed("the network has numbers that are not finite or larger than 2^60")
    return single


def _number(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))
