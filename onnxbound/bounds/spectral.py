"""The largest singular value of a matrix, or of a convolution on a torus, and proved upper bounds of both.

A number is an upper bound of the largest eigenvalue of a Hermitian G if sigma I - G has a Cholesky factorisation. In
floating point, if the factorisation runs to its end, what it has factorised differs from sigma I - G by at most
gamma trace(sigma I - G) in norm, gamma = (n + 1) eps / (1 - (n + 1) eps) (Demmel 1989; Rump 2006), so that
sigma + gamma n sigma is one. The Gram matrix of inner length k is formed with an error of at most k eps |A|_F^2. Four
times both is charged, for complex arithmetic and for the shift.
"""

from itertools import product
from math import frexp, nextafter, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from onnxbound.operators.conv import Conv
from onnxbound.results import Float64Array

EPS = float(np.finfo(np.float64).eps)
_DIRECT = 256
"""Up to this size all eigenvalues are computed; above it the largest alone, by Lanczos."""

_TORUS_WORK = 1e12
"""Multiply-adds that a bound on a torus may cost; above it there is none."""

_BLOCK_BYTES = 64 << 20
_POWER_STEPS = 15


def spectral_norm(matrix: Float64Array) -> float:
    """The largest singular value, exact to rounding, from the smaller Gram matrix."""
    scale = _power_of_two(matrix)
    return sqrt(max(_largest_eigenvalue(_gram(matrix / scale)), 0.0)) * scale


def spectral_upper(matrix: Float64Array, error: float = 0.0) -> float:
    """A number that is at least the spectral norm of `matrix`, and of any matrix within `error` of it."""
    return spectral_norm_and_upper(matrix, error)[1]


def spectral_norm_and_upper(matrix: Float64Array, error: float = 0.0) -> tuple[float, float]:
    """`spectral_norm` and `spectral_upper` for the price of one Gram matrix."""
    scale = _power_of_two(matrix)
    scaled = matrix / scale
    gram, squared = _gram(scaled), float(np.sum(scaled**2))
    largest = max(_largest_eigenvalue(gram), 0.0)
    tight = 4 * (len(gram) + 3) * len(gram) * EPS
    proved = _proved(gram[None], largest * (1 + tight), tight) + 4 * sum(matrix.shape) * EPS * squared
    upper = outward(min(sqrt(proved), sqrt(squared) * (1 + 4 * EPS * matrix.size)))
    return sqrt(largest) * scale, outward(outward(upper * scale) + error)


def torus_upper(operator: Conv, weight: Float64Array) -> float | None:
    """An upper bound of a convolution's norm: the norm of the same convolution on a torus that does not wrap around.

    Padded with zeros to n + span - 1 per axis, the input meets the kernel as on a torus of that size, and a stride only
    leaves rows out. On a torus the discrete Fourier transform makes the map block diagonal: one matrix per frequency,
    sum_tap W_tap exp(i theta tap). The largest of their norms is the norm there. Of frequencies theta and -theta, whose
    matrices are conjugate, one is enough.

    Args:
        operator: The layer's geometry.
        weight: Its A, (c_out, c_in/groups, *kernel), float64.

    Returns:
        None where it would cost more than a few seconds.
    """
    w = operator.windows
    sizes = [n + span - 1 for n, span in zip(w.size, w.span, strict=True)]
    frequencies = [*(range(n) for n in sizes[:-1]), range(sizes[-1] // 2 + 1)]
    taps = prod(w.kernel)
    grouped = weight.reshape(operator.groups, -1, weight.shape[1], taps)
    rows, columns = grouped.shape[1:3]
    count = prod(map(len, frequencies))
    small = min(rows, columns)
    if count * operator.groups * 4 * small * (rows * columns + small * small) > _TORUS_WORK:
        return None
    scale = _power_of_two(weight)
    blocks = np.moveaxis(grouped / scale, -1, 0).reshape(taps, -1)
    offsets = np.array(list(product(*map(range, w.kernel)))) * np.array(w.dilations)
    turns = np.array(list(product(*frequencies))) / np.array(sizes)
    step = max(1, _BLOCK_BYTES // (16 * operator.groups * rows * columns))
    sigma = squared = 0.0
    for start in range(0, count, step):
        phases = np.exp(2j * np.pi * (turns[start : start + step] @ offsets.T))
        symbols = (phases @ blocks).reshape(-1, rows, columns)
        adjoint = symbols.conj().swapaxes(1, 2)
        gram = symbols @ adjoint if rows <= columns else adjoint @ symbols
        squared = max(squared, float(np.sum(np.abs(symbols) ** 2, axis=(1, 2)).max()))
        sigma = _proved(gram, max(sigma, 1.01 * _estimates(gram)), 0.01)
    # Phases are off by at most 64 eps per unit of the angle, which is below 2 pi times the span.
    off = (taps + 400 * max(w.span)) * EPS * float(np.linalg.norm(blocks, axis=1).sum())
    proved = sigma + 8 * (rows + columns) * EPS * squared
    return outward(outward((sqrt(proved) + off) * (1 + 4 * EPS)) * scale)


def outward(value: float) -> float:
    """The next float above, and so an upper bound of the sum, product or root that was rounded to `value`."""
    return nextafter(value, float("inf"))


def _proved(grams: NDArray[np.inexact], estimate: float, relative: float) -> float:
    """A number that no eigenvalue of any of the Hermitian matrices (b, n, n) exceeds.

    The first to be tried is `estimate`, the next are larger by `relative`, twice that, and so on.
    """
    n = grams.shape[-1]
    diagonal = np.arange(n)
    trace = float(np.abs(np.trace(grams, axis1=1, axis2=2)).max())
    while estimate < trace:
        shifted = -grams
        shifted[:, diagonal, diagonal] += estimate
        try:
            np.linalg.cholesky(shifted)
        except np.linalg.LinAlgError:
            estimate, relative = estimate * (1 + relative), 2 * relative
        else:
            return float(estimate * (1 + 4 * (n + 3) * n * EPS))
    return float(trace * (1 + 4 * n * EPS))


def _estimates(grams: NDArray[np.inexact]) -> float:
    """Of the largest eigenvalue of all the matrices, from below, by the power method."""
    random = np.random.Generator(np.random.Philox(key=[grams.shape[-1], 1]))
    v = random.standard_normal((len(grams), grams.shape[-1], 1)).astype(grams.dtype)
    for _ in range(_POWER_STEPS):
        v = grams @ v
        v /= np.linalg.norm(v, axis=1, keepdims=True) + 1e-300
    return float(np.linalg.norm(grams @ v, axis=1).max())


def _gram(matrix: Float64Array) -> Float64Array:
    return matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix


def _power_of_two(values: Float64Array) -> float:
    """What values are divided by, exactly, so that no square overflows or underflows."""
    return 2.0 ** min(frexp(float(np.abs(values).max(initial=0.0)))[1], 1023)


def _largest_eigenvalue(gram: NDArray[np.inexact]) -> float:
    """Of a Hermitian positive semi-definite matrix."""
    n = len(gram)
    if n <= _DIRECT:
        return float(np.linalg.eigvalsh(gram)[-1])
    from scipy.sparse.linalg import eigsh

    start = np.random.Generator(np.random.Philox(key=[n, 0])).standard_normal(n).astype(gram.dtype)
    return float(eigsh(gram, k=1, which="LA", tol=1e-12, v0=start, return_eigenvectors=False)[0])
