"""Matrix-Project, [A] Algorithm 1: a matrix as its products with k random matrices of signs."""

from dataclasses import dataclass
from math import ceil, frexp, ldexp, log, log2, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound.compressors.sign_projection import combine, project
from onnxbound.results import Float64Array

Constants = Literal["paper", "explicit"]

_EXACT_BITS = 52
_SPACING_BITS = 16
_STEPS_PER_NORM = 16
"""Without an epsilon: coefficients, whose standard deviation is |A|_F, on a grid of |A|_F / 16. Its rounding adds one
part in 3,072 to the variance that the projection has anyway."""


@dataclass(frozen=True, slots=True)
class SignCode:
    """A matrix as Matrix-Project describes it: A^ = (spacing / k) sum_l codes_l M_l.

    Attributes:
        shape: Of the matrix, or of the kernel.
        spacing: nu, the grid that the products <A, M_l> are rounded to.
        codes: <A, M_l> / nu, rounded, (k,).
        seed: Of the helper string.
        layer: Number of the layer there.
    """

    shape: tuple[int, ...]
    spacing: float
    codes: NDArray[np.int64]
    seed: int
    layer: int

    @property
    def width(self) -> int:
        """Bits of one code."""
        return max(1, ceil(log2(2 * int(np.abs(self.codes).max(initial=0)) + 1)))

    def matrix(self, threads: int | None = None) -> Float64Array:
        """A^, of `shape`. The sum is exact; two roundings follow it, so the bits are the same everywhere."""
        size = int(np.prod(self.shape))
        total = combine(self.codes.astype(np.float64), size, seed=self.seed, layer=self.layer, threads=threads)
        return (total * (self.spacing / len(self.codes))).reshape(self.shape)


def projections(epsilon: float, eta: float, constants: Constants = "explicit") -> int:
    """How many projections k err by less than epsilon with probability 1 - eta, for one pair u, v of unit vectors.

    The paper's k = ln(1 / eta) / eps^2 has no constant and is too small. Explicit: <A, M><M, u v^T> is a difference of
    two squares, ((<A, M> + <u v^T, M>)^2 - (<A, M> - <u v^T, M>)^2) / 4, each with mean as in Johnson-Lindenstrauss;
    with the tails of Achlioptas (2003) for signs, Pr[|err| >= eps] <= 4 exp(-k (eps^2 / 4 - eps^3 / 6)).

    Args:
        epsilon: Of |A|_F |u| |v|, 0 < eps <= 1.
        eta: Probability of failure.
        constants: Whose constant.

    >>> projections(0.5, 0.05, "paper"), projections(0.5, 0.05)
    (12, 106)
    """
    if constants == "paper":
        return ceil(log(1 / eta) / epsilon**2)
    return ceil(log(4 / eta) / (epsilon**2 / 4 - epsilon**3 / 6))


def matrix_project(
    matrix: Float64Array,
    count: int,
    *,
    seed: int,
    layer: int,
    epsilon: float | None = None,
    threads: int | None = None,
) -> SignCode:
    """Algorithm 1 with rounding.

    The matrix is read on a grid so fine that the sums of its entries stay exact, at least 2^-24 of its largest entry.
    Coefficients go to a grid of spacing nu, by which A^ moves at most (nu / 2) sqrt(h1 h2) in Frobenius norm: with an
    epsilon to keep, nu = eps |A|_F / sqrt(h1 h2) rounded down, which is half of it.

    Args:
        matrix: A, of any shape.
        count: k >= 1.
        seed: Of the helper string.
        layer: Number of the layer there.
        epsilon: Error to keep, projection and rounding together; None to round finely enough not to matter.
        threads: Threads; None for all cores.
    """
    entries = matrix.ravel()
    largest = float(np.abs(entries).max(initial=0.0))
    if largest == 0:
        return SignCode(matrix.shape, 1.0, np.zeros(count, np.int64), seed, layer)
    norm = largest * float(np.sqrt(np.sum((entries / largest) ** 2)))
    unit = ldexp(1.0, frexp(largest)[1] - _EXACT_BITS + entries.size.bit_length())
    products = project(np.rint(entries / unit), count, seed=seed, layer=layer, threads=threads) * unit
    spacing = _rounded_down(norm / _STEPS_PER_NORM if epsilon is None else epsilon * norm / sqrt(entries.size))
    return SignCode(matrix.shape, spacing, np.rint(products / spacing).astype(np.int64), seed, layer)


def _rounded_down(value: float) -> float:
    """To 16 significant bits, so that a last bit that differs between machines rarely shows."""
    mantissa, exponent = frexp(value)
    return ldexp(int(mantissa * 2**_SPACING_BITS), exponent - _SPACING_BITS)
