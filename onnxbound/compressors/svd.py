"""Truncation of singular values, [A] Lemma 1."""

from dataclasses import dataclass

import numpy as np

from onnxbound.results import Float64Array


@dataclass(frozen=True, slots=True)
class Factors:
    """A matrix of rank r as a product.

    Attributes:
        left: (h_out, r).
        right: (r, h_in).
        width: Bits of one number of the factors.
    """

    left: Float64Array
    right: Float64Array
    width: int

    @property
    def rank(self) -> int:
        """r."""
        return int(self.left.shape[1])

    @property
    def parameters(self) -> int:
        """Numbers in both factors."""
        return self.left.size + self.right.size

    def matrix(self) -> Float64Array:
        """left right."""
        return self.left @ self.right


def truncate(matrix: Float64Array, rank: int, width: int | None = None) -> Factors:
    """The best approximation of a rank, its singular values shared out evenly between the factors.

    |A - A^|_2 = sigma_{r+1} (Eckart and Young) before rounding.

    Args:
        matrix: A, (h_out, h_in).
        rank: r >= 1.
        width: Bits of one number, each factor on a grid of its own; None keeps float32.
    """
    u, sigma, v = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(sigma[:rank])
    left, right = u[:, :rank] * root, root[:, None] * v[:rank]
    if width is None:
        return Factors(left.astype(np.float32).astype(np.float64), right.astype(np.float32).astype(np.float64), 32)
    return Factors(_on_grid(left, width), _on_grid(right, width), width)


def rank_of_cut(matrix: Float64Array, share: float) -> int:
    """Lemma 1: the singular values of at least `share` |A|_2 stay, one at least."""
    sigma = _singular_values(matrix)
    return max(int(np.sum(sigma >= share * sigma[0])), 1)


def rank_of_energy(matrix: Float64Array, energy: float) -> int:
    """The smallest rank that keeps this share of |A|_F^2.

    >>> rank_of_energy(np.diag([3.0, 2.0, 1.0]), 0.9)
    2
    """
    squares = _singular_values(matrix) ** 2
    kept = np.cumsum(squares)
    return min(int(np.searchsorted(kept, energy * kept[-1] * (1 - 1e-12))) + 1, len(squares))


def _singular_values(matrix: Float64Array) -> Float64Array:
    return np.asarray(np.linalg.svd(matrix, compute_uv=False), np.float64)


def _on_grid(factor: Float64Array, width: int) -> Float64Array:
    """The nearest of 2^width - 1 levels, symmetric around 0."""
    largest = float(np.abs(factor).max(initial=0.0))
    step = float(np.float32(largest / max(2 ** (width - 1) - 1, 1)))
    return np.rint(factor / step) * step if step > 0 else np.zeros_like(factor)
