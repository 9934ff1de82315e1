"""How many bits the numbers of a net take if they are stored as they are."""

from dataclasses import replace

import numpy as np

from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.operator import Array
from onnxbound.operators.weighted import Weighted

HEADER_BITS = 128
"""Per layer: rank or number of projections (32), spacing (64), width (32)."""


def exact_bits(values: Array) -> int:
    """Bits that hold the values exactly: 32 each where all are float32 numbers, else 64.

    >>> exact_bits(np.array([0.5, 1.0])), exact_bits(np.array([0.1]))
    (64, 64)
    """
    return values.size * (32 if np.array_equal(values.astype(np.float32), values) else 64)


def effective_bits(operator: Weighted) -> int:
    """Bits of A^i with the scale folded in."""
    narrow = all(np.array_equal(band.astype(np.float32), band) for band in operator.bands())
    return operator.weight.size * (32 if narrow else 64)


def weight_bits(layer: Layer) -> int:
    """Bits of A: of its entries with the scale folded in, or of the file's entries and 64 bits for each scale."""
    operator = layer.operator
    whole = effective_bits(operator)
    if operator.scale is None:
        return whole
    return min(whole, effective_bits(replace(operator, scale=None)) + 64 * operator.scale.size)


def bias_bits(layer: Layer) -> int:
    """Bits of a layer's bias, folded BatchNormalization included."""
    return 0 if layer.operator.bias is None else exact_bits(np.asarray(layer.operator.bias, np.float64))


def other_bits(network: Network) -> int:
    """64 bits for every trained number outside the layers: slopes, and the constants of element-wise maps."""
    count = 0
    for step in network.steps:
        if isinstance(step.operator, ElementwiseAffine):
            count += step.operator.scale.size + step.operator.shift.size
        elif not isinstance(step.operator, Weighted):
            count += sum(size for _, size in step.trained)
    return 64 * count
