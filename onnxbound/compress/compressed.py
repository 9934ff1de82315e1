"""A network with some of its weights compressed: what every method returns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from onnxbound.bounds.description import HEADER_BITS, bias_bits, exact_bits, other_bits
from onnxbound.compress.matrix_project import SignCode
from onnxbound.compress.matrix_project_conv import SubspaceCode
from onnxbound.compress.svd import Factors
from onnxbound.graph.network import Layer, Network
from onnxbound.operators.conv import Conv
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

MethodName = Literal["matrix-project", "matrix-project-conv", "svd", "vector-compress", "vector-project", "quantise"]


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
        code: What can be written in another form: signs, a product, filters per position; None otherwise.
        filters: A^ per position, (p, *shape); None where one serves all.
    """

    layer: Layer
    method: MethodName | Literal["kept"]
    reason: str
    weight: Float64Array
    parameters: int
    bits: int
    epsilon: float | None = None
    code: SignCode | SubspaceCode | Factors | None = None
    filters: Float64Array | None = None


@dataclass(frozen=True, slots=True)
class CompressedNetwork:
    """A network of which some weights are compressed.

    Attributes:
        network: The original.
        weights: Weight name to what became of it, in the order of the layers.
    """

    network: Network
    weights: Mapping[str, CompressedLayer]

    def of(self, layer: Layer) -> CompressedLayer:
        """What became of a layer's weight."""
        return self.weights[layer.weight_name]

    @property
    def bits(self) -> int:
        """Length of a description of the whole net: every layer, and every other trained number."""
        shared = sum(bias_bits(layer) for layer in self.network.layers if self.of(layer).layer is not layer)
        return sum(weight.bits for weight in self.weights.values()) + shared + other_bits(self.network)

    def numpy(self) -> Network:
        """The compressed net as NumPy evaluates it; not for filters per position, nor for a runtime.

        Layers that share a weight differ in the scale that is folded into it; the first one's weight serves all.
        """
        steps = []
        by_output = {layer.output: layer for layer in self.network.layers}
        for step in self.network.steps:
            layer = by_output.get(step.output)
            if layer is None or self.of(layer).method == "kept":
                steps.append(step)
                continue
            weight = self.of(layer).weight
            own = layer.operator
            if self.of(layer).layer is not layer:
                weight = with_scale(file_weight(self.of(layer).layer, weight), own.scale)
            steps.append(replace(step, operator=replace(own, weight=weight, scale=None)))
        return replace(self.network, steps=tuple(steps))


def kept(layer: Layer, reason: str) -> CompressedLayer:
    """A layer whose weight stays as it is."""
    weight = layer.operator.effective_weight()
    bits = HEADER_BITS + exact_bits(weight) + bias_bits(layer)
    return CompressedLayer(layer, "kept", reason, weight, weight.size, bits)


def described(
    layer: Layer,
    method: MethodName,
    weight: Float64Array,
    parameters: int,
    payload_bits: int,
    *,
    epsilon: float | None = None,
    code: SignCode | SubspaceCode | Factors | None = None,
    filters: Float64Array | None = None,
) -> CompressedLayer:
    """A layer whose weight is described by so many numbers in so many bits."""
    bits = HEADER_BITS + payload_bits + bias_bits(layer)
    return CompressedLayer(layer, method, "", weight, parameters, bits, epsilon, code, filters)


def file_weight(layer: Layer, weight: Float64Array) -> Float64Array:
    """The weight without the scale that is folded in behind it; where that is 0, the file's own."""
    scale = layer.operator.scale
    if scale is None:
        return weight
    own = np.asarray(layer.operator.weight, np.float64)
    shape = (-1, *(1,) * (weight.ndim - 1))
    divisor = np.where(scale == 0, 1.0, scale).reshape(shape)
    return np.where(scale.reshape(shape) == 0, own, weight / divisor)


def with_scale(weight: Float64Array, scale: Float64Array | None) -> Float64Array:
    """A weight with a scale per output channel."""
    return weight if scale is None else weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))


def predict(compressed: CompressedNetwork, rows: Array) -> Array:
    """Logits of the compressed net in NumPy, filters per position included, (n, K).

    Args:
        compressed: The net.
        rows: (n, *input_shape), float32 or float64; the result has their type.
    """
    network = compressed.numpy().cast(rows.dtype)
    local = {layer.output: layer for layer in compressed.network.layers if compressed.of(layer).filters is not None}
    values = {network.input: rows}
    for step in network.steps:
        inputs = [values[name] for name in step.inputs]
        layer = local.get(step.output)
        values[step.output] = step.operator.act(*inputs) if layer is None else _per_position(compressed, layer, *inputs)
    return values[network.output]


def _per_position(compressed: CompressedNetwork, layer: Layer, x: Array) -> Array:
    """A convolution with a filter of its own at every position."""
    operator, filters = layer.operator, compressed.of(layer).filters
    assert isinstance(operator, Conv)
    assert filters is not None
    w, groups = operator.windows, operator.groups
    taps = np.stack(list(w.taps(w.pad(x))), axis=2).reshape(len(x), groups, -1, len(filters))  # (n, g, c/g taps, p)
    grouped = filters.reshape(len(filters), groups, operator.channels // groups, -1).astype(x.dtype)
    y = np.einsum("ngtp,pgot->ngop", taps, grouped, optimize=True).reshape(len(x), operator.channels, *w.output)
    operator.cast(x.dtype).add_shift(y)
    return np.asarray(y)
