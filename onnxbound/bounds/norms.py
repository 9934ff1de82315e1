"""Matrix norms of the layers, for the norm-based bounds.

A conv kernel is read as a matrix (c_out, c_in/groups * taps). That matrix's spectral norm is not the norm of the
convolution: it is too small by up to sqrt(taps) on large inputs, and too large on inputs smaller than the kernel. So
three numbers are kept apart: the kernel matrix's own, for comparison with published tables; a lower estimate from
products with the layer; and a proved upper bound, the only one that may enter an explicit bound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.bounds.spectral import LARGEST_GRAM, outward, spectral_norm_and_upper, spectral_upper, torus_upper
from onnxbound.graph.layer import Layer
from onnxbound.linear.threads import cores, side_by_side
from onnxbound.operators.conv import Conv
from onnxbound.results import Float64Array, UpperBound

_STEPS, _TOLERANCE = 100, 1e-4
_DENSE_SIDE, _DENSE_ENTRIES = 2048, 1 << 23
"""Inputs or outputs, and entries, up to which a convolution's whole linear map is written out as a matrix."""

_SIDE_BY_SIDE = 2048
"""Rows or columns of the largest weight whose norms are found beside those of others, with one thread for its BLAS."""

_AT_A_TIME = 4
"""Layers: one may take 200 MiB."""

_LARGEST_IN_FLOAT32 = 2.0**60
"""Of |A|^2; its square, |A^T A v|^2, is then a float32."""

_WHOLE = "largest singular value of the weight, rounded up"
_WRITTEN_OUT = "largest singular value of the convolution's whole linear map, rounded up"
_SLICES = "largest singular values of slices of the weight, their squares added, rounded up"


@dataclass(frozen=True, slots=True)
class SpectralNorm:
    """|A|_2 of a layer, three ways.

    Attributes:
        kernel_matrix: Of the weight read as a matrix, for a dense layer |A|_2 itself; exact to rounding, or from below
            to about 1e-5 where rows and columns are more than `spectral.LARGEST_GRAM`.
        estimate: From below, by products with the layer's own linear map; equal to the first for a dense layer.
        upper: At least |A|_2 of the layer's linear map.
    """

    kernel_matrix: float
    estimate: float
    upper: UpperBound


@dataclass(frozen=True, slots=True)
class LayerNorms:
    """Norms of one layer's A^i.

    Attributes:
        frobenius: |A|_F.
        l1_inf: |A|_{1,inf}, the largest l1 norm of an output unit's incoming weights.
        l12: |A|_{1,2}, the sum over output units of the l2 norm of their incoming weights.
        spectral: |A|_2.
        stable_rank: |A|_F^2 / |A|_2^2 of the weight read as a matrix; None for a zero weight.
    """

    frobenius: float
    l1_inf: float
    l12: float
    spectral: SpectralNorm
    stable_rank: float | None


def norms_of_layers(
    layers: Sequence[Layer], threads: int | None, done: Callable[[int], object] = lambda _: None
) -> tuple[LayerNorms, ...]:
    """`layer_norms` of several layers, most of them side by side: LAPACK shares small matrices badly between threads.

    Args:
        layers: In any order.
        threads: How many layers at a time, four at most; None for all cores.
        done: Called with the number of layers that are finished.
    """
    small = [layer for layer in layers if min(layer.operator.matrix.shape) <= _SIDE_BY_SIDE]
    small.sort(key=lambda layer: -layer.parameters)
    together = side_by_side(layer_norms, small, min(threads or cores(), _AT_A_TIME), done)
    found = dict(zip((layer.index for layer in small), together, strict=True))
    for layer in layers:
        if layer.index not in found:
            found[layer.index] = layer_norms(layer)
            done(len(found))
    return tuple(found[layer.index] for layer in layers)


def layer_norms(layer: Layer) -> LayerNorms:
    """All norms of a layer."""
    operator = layer.operator
    squared = l1_inf = l12 = 0.0
    for band in operator.bands():
        rows = np.vecdot(band, band)
        squared += float(rows.sum())
        l12 += float(np.sqrt(rows).sum())
        l1_inf = max(l1_inf, float(np.abs(band).sum(axis=1).max()))
    exact, upper = spectral_norm_and_upper(operator.matrix, factors=operator.scale)
    source = _WHOLE if min(operator.matrix.shape) <= LARGEST_GRAM else _SLICES
    bound, estimate = UpperBound(upper, source), exact
    if isinstance(operator, Conv):
        # Of a kernel of one tap, every position has the same matrix.
        pointwise = operator.weight[0, 0].size == 1 and operator.groups == 1
        whole = None if pointwise else written_out(layer, operator)
        if whole is None:
            bound = conv_upper(layer, operator, upper)
            estimate = min(bound.value, exact if pointwise else lower_estimate(layer, operator))
        else:
            estimate, upper = spectral_norm_and_upper(whole)
            bound = UpperBound(upper, _WRITTEN_OUT)
    return LayerNorms(
        frobenius=sqrt(squared),
        l1_inf=l1_inf,
        l12=l12,
        spectral=SpectralNorm(exact, estimate, bound),
        stable_rank=squared / exact**2 if exact > 0 else None,
    )


def written_out(layer: Layer, operator: Conv) -> Float64Array | None:
    """A convolution's whole linear map as a matrix, `(inputs, outputs)`, pixels before channels.

    Returns:
        None where it is too large, or has groups.
    """
    inputs, outputs = prod(layer.input_shape), prod(layer.output_shape)
    if operator.groups > 1 or min(inputs, outputs) > _DENSE_SIDE or inputs * outputs > _DENSE_ENTRIES:
        return None
    kernel, size = operator.windows.kernel, prod(layer.input_shape[1:])
    # Which tap lies between an input pixel and an output pixel: the images of pixels, by kernels of one tap each.
    one_tap = np.eye(prod(kernel)).reshape(-1, 1, *kernel)
    pixels = np.eye(size).reshape(size, 1, *layer.input_shape[1:])
    taps = replace(operator, weight=one_tap, scale=None, bias=None).linear(pixels).reshape(size, prod(kernel), -1)
    weight = operator.effective_weight().reshape(operator.channels, -1, prod(kernel))
    matrix: Float64Array = np.einsum("qtp,oct->qcpo", taps, weight, optimize=True).reshape(inputs, outputs)
    return matrix


def conv_upper(layer: Layer, operator: Conv, kernel: float | None = None) -> UpperBound:
    """A proved upper bound of |A|_2 of a convolution's whole linear map, the smaller of two.

    A convolution splits its input into windows; no entry is in more than o = `Windows.overlap` of them. So the squared
    norms of the windows add up to at most o |x|^2, and |A x| <= sqrt(o) |W|_2 |x|, W the kernel matrix without the taps
    that only meet padding. Groups act on separate channels: the largest of their norms counts. The other bound is the
    norm on a torus, `spectral.torus_upper`; where there is one window, the first is the norm itself.

    Args:
        layer: The layer.
        operator: Its convolution.
        kernel: An upper bound of the norm of the whole kernel matrix, if there is one already.
    """
    factors = np.ones(operator.channels) if operator.scale is None else operator.scale
    inside = np.tile(operator.windows.taps_inside() > 0, operator.weight.shape[1])
    some = 0 < inside.sum() < inside.size
    if kernel is None or some or operator.groups > 1:
        matrix = operator.matrix[:, inside] if some else operator.matrix
        groups = zip(np.split(matrix, operator.groups), np.split(factors, operator.groups), strict=True)
        kernel = max(spectral_upper(group, factors=own) for group, own in groups)
    windows = outward(kernel * overlap(layer))
    torus = torus_upper(operator)
    if torus is not None and torus < windows:
        return UpperBound(torus, "norm of the convolution on a torus that does not wrap around, rounded up")
    return UpperBound(windows, "spectral norm of the kernel matrix times the square root of the windows an entry is in")


def overlap(layer: Layer) -> float:
    """The square root of the largest number of windows of a conv layer that share an entry; 1 for a dense layer."""
    return sqrt(layer.operator.windows.overlap) if isinstance(layer.operator, Conv) else 1.0


def lower_estimate(layer: Layer, operator: Conv) -> float:
    """|A|_2 of a convolution's whole linear map from below, by Golub and Kahan's bidiagonalisation (1965).

    After k steps it is the largest singular value of A on the Krylov space of k vectors, computed to rounding. It stops
    when a step changes the estimate by less than 1e-4 of it, or after 100 steps. Weights whose products leave float32
    are multiplied in float64.
    """
    at_most = operator.frobenius_squared() * overlap(layer) ** 2
    operator = operator.cast(np.float32 if at_most < _LARGEST_IN_FLOAT32 else np.float64)
    random = np.random.Generator(np.random.Philox(key=[layer.index, 0]))
    right: NDArray[Any] = random.standard_normal((1, *layer.input_shape), np.float32)
    right = right / operator.weight.dtype.type(np.linalg.norm(right))
    left = operator.linear(right)
    diagonal, above = [_length(left)], list[float]()
    estimate = diagonal[0]
    while len(diagonal) < _STEPS and diagonal[-1] > 0:
        left = left / operator.weight.dtype.type(diagonal[-1])
        (back,) = operator.transpose(left, layer.input_shape)
        back = back - operator.weight.dtype.type(diagonal[-1]) * right
        above.append(_length(back))
        if above[-1] == 0:
            break
        right = back / operator.weight.dtype.type(above[-1])
        left = operator.linear(right) - operator.weight.dtype.type(above[-1]) * left
        diagonal.append(_length(left))
        bidiagonal = np.diag(diagonal) + np.diag(above, 1)
        previous, estimate = estimate, float(np.linalg.norm(bidiagonal, 2))
        if estimate - previous <= _TOLERANCE * estimate:
            break
    return estimate


def _length(values: NDArray[Any]) -> float:
    return float(np.linalg.norm(values.astype(np.float64)))
