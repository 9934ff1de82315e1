"""A network with some of its weights compressed: what every method returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from onnxbound.bounds.description import HEADER_BITS, bias_bits, other_bits, weight_bits
from onnxbound.compressors.grid import Grid, Half
from onnxbound.compressors.matrix_project import SignCode
from onnxbound.compressors.matrix_project_conv import SubspaceCode
from onnxbound.compressors.svd import Factors
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.operators.conv import Conv
from onnxbound.operators.operator import Array
from onnxbound.operators.quantisation import SaturatingRounding
from onnxbound.results import Float64Array

MethodName = Literal[
    "smallest",
    "fastest",
    "int8",
    "int8-weights",
    "int4-weights",
    "fp16",
    "matrix-project",
    "matrix-project-conv",
    "svd",
    "vector-compress",
    "vector-project",
    "quantise",
]
"""The smallest file and the fastest, four formats, and the algorithms of [A] with the plain ones beside them."""


_GRID_BITS = 40
"""A scale and a zero point."""


@dataclass(frozen=True, slots=True)
class CompressedLayer:
    """One weight, of one layer or of several that share it.

    Attributes:
        layer: The layer, the first of those that share the weight.
        method: What was done; "kept" if nothing.
        reason: Why it was kept; empty if it was not.
        weight: A^, of A's shape, float64; where there is a filter per position, their mean.
        parameters: Numbers that describe A^; those of A if it was kept.
        bits: Length of the description, its header and the bias of the layer included.
        epsilon: The error that was asked for; None if none was.
        code: What can be written in another form: signs, a product, filters per position, levels; None otherwise.
        filters: A^ per position, (p, *shape); None where one serves all.
        shift: Added to the bias, behind the scale that is folded in, (h,); None for nothing.
    """

    layer: Layer
    method: MethodName | Literal["kept"]
    reason: str
    weight: Float64Array
    parameters: int
    bits: int
    epsilon: float | None = None
    code: SignCode | SubspaceCode | Factors | Grid | Half | None = None
    filters: Float64Array | None = None
    shift: Float64Array | None = None


@dataclass(frozen=True, slots=True)
class CompressedNetwork:
    """A network of which some weights are compressed.

    Attributes:
        network: The original.
        weights: Weight name to what became of it, in the order of the layers.
        roundings: Tensor name to the grid that it is rounded to.
        halved: Whether everything between inputs and outputs is computed in 16 bits.
        fine_tuned: Whether levels and biases were moved by the decisions of the whole net.
    """

    network: Network
    weights: Mapping[str, CompressedLayer]
    roundings: Mapping[str, SaturatingRounding] = field(default_factory=dict)
    halved: bool = False
    fine_tuned: bool = False

    def of(self, layer: Layer) -> CompressedLayer:
        """What became of a layer's weight."""
        return self.weights[layer.weight_name]

    @property
    def bits(self) -> int:
        """Length of a description of the whole net: every layer, and every other trained number."""
        shared = sum(bias_bits(layer) for layer in self.network.layers if self.of(layer).layer.index != layer.index)
        grids = _GRID_BITS * len(set(self.roundings.values()))
        return sum(weight.bits for weight in self.weights.values()) + shared + other_bits(self.network) + grids

    def weight_of(self, layer: Layer) -> Float64Array:
        """A^ of a layer; those that share a weight differ in the scale that is folded into it."""
        found = self.of(layer)
        if found.layer.index == layer.index or found.method == "kept":
            return layer.operator.effective_weight() if found.method == "kept" else found.weight
        return with_scale(file_weight(found.layer, found.weight), layer.operator.scale)

    def numpy(self) -> Network:
        """The compressed net as NumPy evaluates it; not for filters per position, nor for a runtime."""
        steps = []
        by_output = {layer.output: layer for layer in self.network.layers}
        for step in self.network.steps:
            layer = by_output.get(step.output)
            if layer is not None and self.of(layer).method != "kept":
                found = self.of(layer)
                operator = replace(layer.operator, weight=self.weight_of(layer), scale=None)
                if found.shift is not None:
                    operator = replace(operator, bias=found.shift + (0 if operator.bias is None else operator.bias))
                steps.append(replace(step, operator=operator))
            else:
                steps.append(step)
        return replace(self.network, steps=tuple(steps))


def kept(layer: Layer, reason: str) -> CompressedLayer:
    """A layer whose weight stays as it is."""
    weight = layer.operator.effective_weight()
    bits = HEADER_BITS + weight_bits(layer) + bias_bits(layer)
    return CompressedLayer(layer, "kept", reason, weight, weight.size, bits)


def described(
    layer: Layer,
    method: MethodName,
    weight: Float64Array,
    parameters: int,
    payload_bits: int,
    *,
    epsilon: float | None = None,
    code: SignCode | SubspaceCode | Factors | Grid | Half | None = None,
    filters: Float64Array | None = None,
    shift: Float64Array | None = None,
) -> CompressedLayer:
    """A layer whose weight is described by so many numbers in so many bits.

    Units that a folded scale of 0 switches off stay off: the file multiplies whatever they compute by 0.
    """
    scale = layer.operator.scale
    if scale is not None:
        on = (scale != 0).reshape(-1, *(1,) * (weight.ndim - 1))
        weight = weight * on
        filters = None if filters is None else filters * on
    bits = HEADER_BITS + payload_bits + bias_bits(layer)
    return CompressedLayer(layer, method, "", weight, parameters, bits, epsilon, code, filters, shift)


def file_weight(layer: Layer, weight: Float64Array) -> Float64Array:
    """The weight without the scale that is folded in behind it; divided by 1 where that is 0."""
    scale = layer.operator.scale
    if scale is None:
        return weight
    return weight / np.where(scale == 0, 1.0, scale).reshape(-1, *(1,) * (weight.ndim - 1))


def with_scale(weight: Float64Array, scale: Float64Array | None) -> Float64Array:
    """A weight with a scale per output channel."""
    return weight if scale is None else weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))


def predict(compressed: CompressedNetwork, rows: Array) -> Array:
    """Logits of the compressed net in NumPy, filters per position included, (n, K).

    Args:
        compressed: The net.
        rows: (n, *input_shape), float32 or float64; the result has their type.
    """

    def rounded(name: str, x: Array) -> Array:
        grid = compressed.roundings.get(name)
        return x if grid is None else grid.act(x)

    network = compressed.numpy().cast(rows.dtype)
    layers = {layer.output: layer for layer in compressed.network.layers}
    values = {network.input: rounded(network.input, rows)}
    for step in network.steps:
        inputs = [values[name] for name in step.inputs]
        layer = layers.get(step.output)
        filters = None if layer is None else compressed.of(layer).filters
        if layer is None or filters is None:
            result = step.operator.act(*inputs)
        else:
            result = local_output(layer, filters, *inputs)
        values[step.output] = rounded(step.output, result)
    return values[network.output]


def local_output(layer: Layer, filters: Float64Array, x: Array) -> Array:
    """A convolution with a filter of its own at every position, bias included.

    Args:
        layer: The convolution.
        filters: (p, c_out, c_in/groups, *kernel).
        x: What enters, (n, c_in, *size).
    """
    operator = layer.operator
    assert isinstance(operator, Conv)
    w, groups = operator.windows, operator.groups
    taps = np.stack(list(w.taps(w.pad(x))), axis=2).reshape(len(x), groups, -1, len(filters))
    grouped = filters.reshape(len(filters), groups, operator.channels // groups, -1).astype(x.dtype)
    y = np.einsum("ngtp,pgot->ngop", taps, grouped, optimize=True).reshape(len(x), operator.channels, *w.output)
    result: Array = operator.cast(x.dtype).add_shift(y)
    return result
