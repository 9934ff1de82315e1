"""Matrix norms of the layers that the norm-based bounds are made of.

A conv kernel is read as a matrix (c_out, c_in/groups * taps). That matrix's spectral norm is not the norm of the
convolution: it is too small by up to sqrt(taps) on large inputs, and too large on inputs smaller than the kernel. So
three numbers are kept apart: the kernel matrix's own, for comparison with published tables; a lower estimate by power
iteration on the layer; and a proved upper bound, the only one that may enter an explicit bound.
"""

from dataclasses import dataclass
from math import frexp, gcd, nextafter, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.network import Layer
from onnxbound.operators.conv import Conv
from onnxbound.results import Float64Array, UpperBound

_EPS = float(np.finfo(np.float64).eps)
_POWER_STEPS = 100
_POWER_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class SpectralNorm:
    """|A|_2 of a layer, three ways.

    Attributes:
        kernel_matrix: Of the weight read as a matrix, exact to rounding; for a dense layer |A|_2 itself.
        estimate: From below, by power iteration on the layer's own linear map; equal to the first for a dense layer.
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


def layer_norms(layer: Layer) -> LayerNorms:
    """All norms of a layer."""
    matrix = kernel_matrix(layer.operator.effective_weight())
    exact = spectral_norm(matrix)
    is_conv = isinstance(layer.operator, Conv)
    return LayerNorms(
        frobenius=float(np.linalg.norm(matrix)),
        l1_inf=float(np.abs(matrix).sum(axis=1).max()),
        l12=float(np.linalg.norm(matrix, axis=1).sum()),
        spectral=SpectralNorm(exact, power_iteration(layer) if is_conv else exact, operator_upper(layer)),
        stable_rank=float(np.sum(matrix**2)) / exact**2 if exact > 0 else None,
    )


def kernel_matrix(weight: Float64Array) -> Float64Array:
    """A weight as `(c_out, c_in/groups * taps)`."""
    return weight.reshape(len(weight), -1)


def spectral_norm(matrix: Float64Array) -> float:
    """The largest singular value, exact to rounding, from the smaller Gram matrix."""
    scale = _power_of_two(matrix)
    return sqrt(max(_largest_eigenvalue(matrix / scale), 0.0)) * scale


def spectral_upper(matrix: Float64Array, error: float = 0.0) -> float:
    """A number that is at least the spectral norm of `matrix`, and of any matrix within `error` of it.

    The Gram matrix of inner length k is formed with an error of at most 2 k eps |A|_F^2, and the eigenvalue solver is
    backward stable to a small multiple of n eps of the matrix's norm; 4 (k + n) eps |A|_F^2 is charged for both. The
    Frobenius norm is an upper bound too.
    """
    scale = _power_of_two(matrix)
    scaled = matrix / scale
    squared = float(np.sum(scaled**2))
    slack = 4 * sum(matrix.shape) * _EPS * squared
    gram = sqrt(max(_largest_eigenvalue(scaled), 0.0) + slack)
    return outward(outward(min(gram, sqrt(squared + slack)) * scale) + error)


def operator_upper(layer: Layer) -> UpperBound:
    """A proved upper bound of |A|_2 of a layer's whole linear map.

    A convolution splits its input into windows; no entry stands in more than prod ceil(k g / s) of them, g the greatest
    common divisor of stride and dilation. So the windows together have at most that often |x|^2, and |A x| <= |W|_2
    times its root, W the kernel matrix. Groups act on separate channels: the largest of their norms counts.
    """
    weight = layer.operator.effective_weight()
    if not isinstance(layer.operator, Conv):
        return UpperBound(spectral_upper(weight), "largest singular value of the weight, rounded up")
    groups = np.split(weight, layer.operator.groups)
    factor = overlap(layer)
    value = outward(max(spectral_upper(kernel_matrix(group)) for group in groups) * factor)
    return UpperBound(value, "spectral norm of the kernel matrix times the square root of the windows an entry is in")


def overlap(layer: Layer) -> float:
    """The square root of the most windows of a conv layer that an entry stands in; 1 for a dense layer."""
    if not isinstance(layer.operator, Conv):
        return 1.0
    w = layer.operator.windows
    return sqrt(prod(-(-k * gcd(d, s) // s) for k, s, d in zip(w.kernel, w.strides, w.dilations, strict=True)))


def power_iteration(layer: Layer) -> float:
    """A lower estimate of |A|_2 of a layer's linear map: |A v| for a unit v that A^T A was applied to.

    It stops when a step changes the estimate by less than 1e-4 of it, or after 100 steps.
    """
    operator = layer.operator.cast(np.float32)
    random = np.random.Generator(np.random.Philox(key=[layer.index, 0]))
    v: NDArray[np.float32] = random.standard_normal((1, *layer.input_shape), np.float32)
    estimate = 0.0
    for _ in range(_POWER_STEPS):
        v = v / np.float32(np.linalg.norm(v))
        image = operator.linear(v)
        previous, estimate = estimate, float(np.linalg.norm(image.astype(np.float64)))
        if estimate == 0 or abs(estimate - previous) <= _POWER_TOLERANCE * estimate:
            break
        (v,) = operator.transpose(image, layer.input_shape)
    return estimate


def outward(value: float) -> float:
    """The next float above, and so an upper bound of the sum, product or root that was rounded to `value`."""
    return nextafter(value, float("inf"))


def _power_of_two(matrix: Float64Array) -> float:
    """What the matrix is divided by, exactly, so that no square overflows or underflows."""
    return 2.0 ** min(frexp(float(np.abs(matrix).max(initial=0.0)))[1], 1023)


def _largest_eigenvalue(matrix: Float64Array) -> float:
    """Of the smaller Gram matrix."""
    from scipy.linalg import eigh

    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    last = len(gram) - 1
    return float(eigh(gram, eigvals_only=True, subset_by_index=[last, last])[0])
