"""A network some of whose layers are products of two narrower ones: fewer numbers for the search to move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxbound.compressors.svd import Factors
from onnxbound.graph.network import Layer, Network
from onnxbound.operators.conv import Conv
from onnxbound.operators.dense import Dense
from onnxbound.operators.weighted import Weighted
from onnxbound.operators.windows import Windows
from onnxbound.results import Float64Array

_SMALLEST = 1000
"""Entries of a weight below which it stays whole."""

_NEGLIGIBLE = 1e-3
"""Singular values below this share of the largest are not worth a number."""

_DAMPING = 1e-2
"""Added to the curvature of either side, over the mean of its diagonal."""


def factors_of(
    network: Network, sides: Sequence[tuple[Float64Array, Float64Array]], numbers: int
) -> Mapping[str, Factors]:
    """Factors of the layers that are worth it, by the name of what they put out.

    The truncated singular value decomposition of B^{1/2} W A^{1/2}, with A and B the curvature between columns and
    between rows. Ranks are raised where a further one saves the most divergence per number, until the network has the
    wanted count of them; a layer whose factors would hold no fewer numbers than itself stays whole.

    Args:
        network: The trained network.
        sides: `onnxbound.linear.curvature.sides` of its layers.
        numbers: How many numbers the factors of all layers may have together.
    """
    found = [_Spectrum.of(layer, *side) for layer, side in zip(network.layers, sides, strict=True) if _splits(layer)]
    gains = [
        (float(value**2 / each.cost), place)
        for place, each in enumerate(found)
        for value in each.values[each.values > _NEGLIGIBLE * each.values[0]]
    ]
    ranks, spent = [0] * len(found), 0
    for _, place in sorted(gains, key=lambda gain: -gain[0]):
        if ranks[place] == 0 or spent + found[place].cost <= numbers:
            ranks[place] += 1
            spent += found[place].cost
    return {
        each.layer.output: Factors(each.left[:, :rank], each.right[:rank], 32)
        for each, rank in zip(found, ranks, strict=True)
        if rank * each.cost < each.layer.parameters
    }


def factored(network: Network, factors: Mapping[str, Factors]) -> Network:
    """The network with two layers, the second with the bias, for each that has factors."""
    steps, shapes = [], dict(network.shapes)
    for step in network.steps:
        found = factors.get(step.output)
        if found is None:
            steps.append(step)
            continue
        assert isinstance(step.operator, Weighted)
        right, left = _split(step.operator, found)
        between = f"{step.output}/factor"
        shapes[between] = right.output_shape(shapes[step.inputs[0]])
        steps.append(replace(step, operator=right, output=between))
        steps.append(replace(step, operator=left, inputs=(between,)))
    return replace(network, steps=tuple(steps), shapes=shapes)


def _split(operator: Weighted, factors: Factors) -> tuple[Weighted, Weighted]:
    """The narrow layer that comes first, and the one that widens again."""
    weight = factors.right.reshape(factors.rank, *operator.weight.shape[1:])
    right = replace(operator, weight=weight, scale=None, bias=None)
    if not isinstance(operator, Conv):
        return right, Dense(factors.left, None, operator.bias)
    axes = len(operator.windows.size)
    ones, zeros = (1,) * axes, (0,) * axes
    pixels = Windows(operator.windows.output, ones, ones, ones, zeros, zeros)
    return right, Conv(factors.left.reshape(*factors.left.shape, *ones), None, operator.bias, pixels, 1)


def _splits(layer: Layer) -> bool:
    operator = layer.operator
    return layer.parameters >= _SMALLEST and not (isinstance(operator, Conv) and operator.groups > 1)


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """A weight as a product of full rank, the most telling columns and rows first.

    Attributes:
        layer: Whose weight.
        values: What each rank is worth, squared in units of divergence, descending.
        left: (h_out, ranks).
        right: (ranks, the rest).
    """

    layer: Layer
    values: Float64Array
    left: Float64Array
    right: Float64Array

    @classmethod
    def of(cls, layer: Layer, rows: Float64Array, columns: Float64Array) -> "_Spectrum":
        """From the curvature between the weight's rows and between its columns."""
        (root_rows, back_rows), (root_columns, back_columns) = _roots(rows), _roots(columns)
        weight = layer.operator.effective_weight()
        u, sigma, v = np.linalg.svd(root_rows @ weight.reshape(len(weight), -1) @ root_columns, full_matrices=False)
        share = np.sqrt(sigma)
        scale = np.sqrt(max(float(np.trace(rows)), float(np.finfo(np.float64).tiny)))
        return cls(layer, sigma / scale, back_rows @ (u * share), (share[:, None] * v) @ back_columns)

    @property
    def cost(self) -> int:
        """Numbers of one rank."""
        return len(self.left) + int(self.right.shape[1])


def _roots(side: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The square root of a damped side, and its inverse."""
    damping = max(_DAMPING * float(np.trace(side)) / len(side), float(np.finfo(np.float32).tiny))
    values, vectors = np.linalg.eigh(side)
    roots = np.sqrt(np.maximum(values, 0) + damping)
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T
