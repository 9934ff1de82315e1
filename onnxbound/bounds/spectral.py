"""The largest singular value of a matrix, or of a convolution on a torus, and proved upper bounds of both.

A number is an upper bound of the largest eigenvalue of a Hermitian G if sigma I - G has a Cholesky factorisation. In
floating point, if the factorisation runs to its end, what it has factorised differs from sigma I - G by at most
gamma trace(sigma I - G) in norm, gamma = (n + 1) eps / (1 - (n + 1) eps) (Demmel 1989; Rump 2006), so that
sigma + gamma n sigma is one. The Gram matrix of inner length k is formed with an error of at most k eps |A|_F^2. Four
times both is charged, for complex arithmetic and for the shift.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from math import ceil, frexp, nextafter, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from onnxbound.operators.conv import Conv
from onnxbound.operators.operator import Array
from onnxbound.operators.weighted import bands
from onnxbound.results import Float64Array

EPS = float(np.finfo(np.float64).eps)
LARGEST_GRAM = 8192
"""Rows and columns of the largest Gram matrix that is formed, of 512 MiB."""

_DIRECT = 256
"""Up to this size all eigenvalues are computed; above it the largest alone, by Lanczos."""

_TORUS_WORK = 1e12
"""Multiply-adds that a bound on a torus may cost; above it there is none."""

_BLOCK_BYTES = 8 << 20
"""Matrices of a few frequencies of a torus: more at a time leave the cache."""
_STRIP = 1024
_POWER_STEPS = 40


def spectral_norm(matrix: Array) -> float:
    """The largest singular value, exact to rounding, from the smaller Gram matrix."""
    unit = _power_of_two(matrix)
    return sqrt(max(_largest_eigenvalue(_gram(matrix, None, unit)), 0.0)) * unit


def spectral_upper(matrix: Array, error: float = 0.0, factors: Float64Array | None = None) -> float:
    """A number that is at least the spectral norm of `matrix`, and of any matrix within `error` of it."""
    return spectral_norm_and_upper(matrix, error, factors)[1]


def spectral_norm_and_upper(
    matrix: Array, error: float = 0.0, factors: Float64Array | None = None
) -> tuple[float, float]:
    """`spectral_norm` and `spectral_upper` from one Gram matrix, the only matrix that is held in float64.

    Beyond `LARGEST_GRAM` rows and columns the bound combines those of slices A_b, by |A|^2 <= sum_b |A_b|^2, and the
    norm is found by Lanczos on the matrix in its own precision, from below and to about 1e-5 for float32.

    Args:
        matrix: Of any float type, possibly memory-mapped.
        error: Spectral norm of what may be added to the matrix.
        factors: Per row; None for one.
    """
    unit = _power_of_two(matrix, factors)
    if min(matrix.shape) > LARGEST_GRAM:
        return _norm_of_large(matrix, factors, unit), outward(_upper_of_slices(matrix, factors) + error)
    gram = _gram(matrix, factors, unit)
    n, diagonal, squared = len(gram), gram.diagonal().copy(), float(np.trace(gram))
    largest = max(_largest_eigenvalue(gram), 0.0)
    tight = 4 * (n + 3) * n * EPS
    proved = _proved(partial(_factorises, gram, diagonal), n, squared, largest * (1 + tight), tight)
    proved += 4 * sum(matrix.shape) * EPS * squared
    upper = outward(min(sqrt(proved), sqrt(squared) * (1 + 4 * EPS * matrix.size)))
    return sqrt(largest) * unit, outward(outward(upper * unit) + error)


def frobenius_upper(squared: float, size: int) -> float:
    """A Frobenius norm of `size` entries rounded up, and so an upper bound of the spectral norm too."""
    return outward(sqrt(squared) * (1 + 4 * EPS * size))


def torus_upper(operator: Conv) -> float | None:
    """An upper bound of a convolution's norm: the norm of the same convolution on a torus that does not wrap around.

    Padded with zeros to n + span - 1 per axis, the input meets the kernel as on a torus of that size, and a stride only
    leaves rows out. On a torus the discrete Fourier transform makes the map block diagonal: one matrix per frequency,
    sum_tap W_tap exp(i theta tap). The largest of their norms is the norm there. Of frequencies theta and -theta, whose
    matrices are conjugate, one is enough, and so is one along an axis on which the kernel has a single tap.

    Returns:
        None where it would cost more than a few seconds.
    """
    w = operator.windows
    sizes = [n + span - 1 if span > 1 else 1 for n, span in zip(w.size, w.span, strict=True)]
    taps = prod(w.kernel)
    rows, columns = operator.channels // operator.groups, operator.weight.shape[1]
    small = min(rows, columns)
    if prod(sizes) * operator.groups * small * (rows * columns + small * small) > _TORUS_WORK:
        return None
    unit = _power_of_two(operator.matrix, operator.scale)
    grouped = operator.effective_weight().reshape(operator.groups, rows, columns, taps)
    blocks = np.moveaxis(grouped / unit, -1, 0).reshape(taps, -1)
    offsets = np.array(list(product(*map(range, w.kernel)))) * np.array(w.dilations)
    turns = _half(sizes) / np.array(sizes)
    step = max(1, _BLOCK_BYTES // (16 * operator.groups * rows * columns))
    sigma = squared = 0.0
    for start in range(0, len(turns), step):
        angles = 2 * np.pi * (turns[start : start + step] @ offsets.T)
        parts = (np.cos(angles) @ blocks, np.sin(angles) @ blocks)
        real, imaginary = (part.reshape(-1, rows, columns) for part in parts)
        if rows > columns:
            real, imaginary = real.swapaxes(1, 2), -imaginary.swapaxes(1, 2)
        grams = Grams.of(real, imaginary)
        squared = max(squared, grams.trace)
        # Most frequencies are not the one with the largest norm, and need no estimate of their own.
        if not grams.factorise(sigma):
            sigma = _proved(grams.factorise, small, grams.trace, max(sigma, 1.003 * grams.estimate()), 0.003)
    # Phases are off by at most 64 eps per unit of the angle, which is below 2 pi times the span.
    off = (2 * taps + 400 * max(w.span)) * EPS * float(np.linalg.norm(blocks, axis=1).sum())
    proved = _charged(sigma, small) + 8 * (rows + columns) * EPS * squared
    return outward(outward((sqrt(proved) + off) * (1 + 4 * EPS)) * unit)


def _half(sizes: list[int]) -> NDArray[np.int64]:
    """Of the frequencies of a torus and their negatives, modulo its sizes, one of each: `(count, axes)`."""
    every = np.stack(np.unravel_index(np.arange(prod(sizes)), sizes), axis=1)
    negative = np.ravel_multi_index(tuple(-every.T % np.array(sizes)[:, None]), sizes)
    chosen: NDArray[np.int64] = every[np.arange(len(every)) <= negative]
    return chosen


class Grams:
    """Hermitian matrices S S*, `(b, n, n)`, held with the opposite sign, ready to be factorised.

    Attributes:
        trace: The largest of their traces.
    """

    def __init__(self, negative: NDArray[np.complex128]) -> None:
        places = np.arange(negative.shape[-1])
        self._negative, self._places = negative, places
        self._diagonal = -negative[:, places, places]
        self.trace = float(self._diagonal.real.sum(axis=1).max())

    @classmethod
    def of(cls, real: Float64Array, imaginary: Float64Array) -> "Grams":
        """Of S from its parts, `(b, n, k)`: a product of matrices where complex ones would take four."""
        beside = np.concatenate([real, imaginary], axis=2)
        turned = imaginary @ real.swapaxes(1, 2)
        negative = np.empty(turned.shape, np.complex128)
        np.negative(beside @ beside.swapaxes(1, 2), out=negative.real)
        np.subtract(turned.swapaxes(1, 2), turned, out=negative.imag)
        return cls(negative)

    def factorise(self, sigma: float) -> bool:
        """Whether sigma I - G has a Cholesky factorisation for all of them."""
        if sigma <= 0:
            return False
        self._negative[:, self._places, self._places] = sigma - self._diagonal
        try:
            np.linalg.cholesky(self._negative)
        except np.linalg.LinAlgError:
            return False
        return True

    def estimate(self) -> float:
        """Of the largest eigenvalue of all, from below, by the power method."""
        self._negative[:, self._places, self._places] = -self._diagonal
        grams = self._negative.astype(np.complex64)
        random = np.random.Generator(np.random.Philox(key=[grams.shape[-1], 1]))
        v = random.standard_normal((len(grams), grams.shape[-1], 1)).astype(grams.dtype)
        for _ in range(_POWER_STEPS):
            v = grams @ v
            v /= np.linalg.norm(v, axis=1, keepdims=True) + np.float32(1e-30)
        return float(np.linalg.norm(grams @ v, axis=1).max())


def outward(value: float) -> float:
    """The next larger float: an upper bound of the sum, product or root that was rounded to `value`."""
    return nextafter(value, float("inf"))


def _proved(factorises: Callable[[float], bool], n: int, trace: float, estimate: float, relative: float) -> float:
    """A number that no eigenvalue of G exceeds, G Hermitian and positive semi-definite or several of them.

    Args:
        factorises: Whether sigma I - G has a Cholesky factorisation.
        n: Rows of G.
        trace: Of G, the largest.
        estimate: The first sigma to try; the next are larger by `relative`, twice that, and so on.
        relative: The first step.
    """
    while estimate < trace:
        if factorises(estimate):
            return _charged(estimate, n)
        estimate, relative = estimate * (1 + relative), 2 * relative
    return float(trace * (1 + 4 * n * EPS))


def _charged(sigma: float, n: int) -> float:
    """What bounds the eigenvalues of G of n rows if sigma I - G was factorised."""
    return float(sigma * (1 + 4 * (n + 3) * n * EPS))


def _factorises(gram: Float64Array, diagonal: Float64Array, sigma: float) -> bool:
    """Of the matrix of which `gram` has the lower triangle: the upper one is overwritten, and the diagonal."""
    from scipy.linalg.lapack import dpotrf

    for start in range(0, len(gram), _STRIP):
        stop = start + _STRIP
        gram[start:stop, stop:] = -gram[stop:, start:stop].T
        corner = np.tril(gram[start:stop, start:stop], -1)
        gram[start:stop, start:stop] = corner - corner.T
    np.fill_diagonal(gram, sigma - diagonal)
    return bool(dpotrf(gram, lower=0, overwrite_a=1, clean=0)[1] == 0)


def _gram(matrix: Array, factors: Float64Array | None, unit: float) -> Float64Array:
    """The lower triangle of the smaller Gram matrix of matrix / unit, in Fortran's order."""
    from scipy.linalg.blas import dsyrk

    side = min(matrix.shape)
    wide = int(matrix.shape[0] == side)
    gram = np.zeros((side, side), order="F")
    for band in bands(matrix, factors, axis=wide):
        gram = dsyrk(1.0, (band / unit).T, beta=1.0, c=gram, trans=wide, lower=1, overwrite_c=1)
    return gram


def _power_of_two(matrix: Array, factors: Float64Array | None = None) -> float:
    """What a matrix is divided by, exactly, so that no square overflows or underflows."""
    largest = max((float(np.abs(band).max(initial=0.0)) for band in bands(matrix, factors)), default=0.0)
    return float(2.0 ** min(frexp(largest)[1], 1023))


def _largest_eigenvalue(gram: Float64Array) -> float:
    """Of a positive semi-definite matrix, from its lower triangle."""
    n = len(gram)
    if n <= _DIRECT:
        return float(np.linalg.eigvalsh(gram)[-1])
    from scipy.linalg.blas import dsymv

    return _lanczos(lambda v: dsymv(1.0, gram, v, lower=1), n, 1e-12)


def _norm_of_large(matrix: Array, factors: Float64Array | None, unit: float) -> float:
    """The largest singular value by Lanczos on v -> A^T A v, products taken in the precision of the matrix."""

    def product(v: Float64Array) -> Float64Array:
        image = np.asarray(matrix @ v.astype(matrix.dtype), np.float64) / unit
        if factors is not None:
            image *= factors**2
        peak = float(np.abs(image).max()) or 1.0
        return np.asarray(matrix.T @ (image / peak).astype(matrix.dtype), np.float64) * (peak / unit)

    return sqrt(max(_lanczos(product, matrix.shape[1], 1e-5), 0.0)) * unit


def _lanczos(product: Callable[[Float64Array], Float64Array], n: int, tolerance: float) -> float:
    """The largest eigenvalue of a symmetric map of n numbers, from below, to a relative tolerance."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    start = np.random.Generator(np.random.Philox(key=[n, 0])).standard_normal(n)
    linear = LinearOperator((n, n), matvec=product, dtype=np.float64)
    return float(eigsh(linear, k=1, which="LA", tol=tolerance, v0=start, return_eigenvectors=False)[0])


def _upper_of_slices(matrix: Array, factors: Float64Array | None) -> float:
    """An upper bound of the norm from those of equal slices of the shorter side."""
    rows, columns = matrix.shape
    side = min(rows, columns)
    step = ceil(side / ceil(side / LARGEST_GRAM))
    squared = 0.0
    for start in range(0, side, step):
        part = slice(start, start + step)
        if rows == side:
            upper = spectral_upper(matrix[part], factors=None if factors is None else factors[part])
        else:
            upper = spectral_upper(matrix[:, part], factors=factors)
        squared = outward(squared + outward(upper * upper))
    return outward(sqrt(squared))
