"""Linear classifiers: Vector-Compress and Vector-Project, [A] Algorithms 2 and 3, with the rounding of Lemma 5.

c is a vector of norm at most 1, u one of norm at most 1; both promise |<c^ - c, u>| <= gamma with probability 1 - eta
for each u that does not depend on the draw.
"""

from dataclasses import dataclass
from math import ceil, log, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from onnxbound.compressors.matrix_project import Constants
from onnxbound.results import Float64Array
from onnxbound.rng import key_of, normal_noise

_UNIFORM_STREAM = 1 << 61


@dataclass(frozen=True, slots=True)
class SparseCode:
    """A vector of few coordinates, multiples of a spacing.

    Attributes:
        size: h.
        spacing: gamma / (2 sqrt h).
        places: Coordinates that are kept, (s,).
        levels: Their values over the spacing, (s,).
    """

    size: int
    spacing: float
    places: NDArray[np.int64]
    levels: NDArray[np.int64]

    @property
    def bits(self) -> int:
        """A place costs log2 h, a level what the largest needs."""
        return len(self.places) * (ceil(log2(max(self.size, 2))) + _width(self.levels))

    def vector(self) -> Float64Array:
        """c^, (h,)."""
        result = np.zeros(self.size)
        result[self.places] = self.levels * self.spacing
        return result


@dataclass(frozen=True, slots=True)
class GaussianCode:
    """A vector as its rounded products with k Gaussian vectors of the helper string.

    Attributes:
        size: h.
        spacing: gamma / (2 sqrt(h k)).
        levels: Products over the spacing, (k,).
        seed: Of the helper string.
        layer: Number of the layer there.
    """

    size: int
    spacing: float
    levels: NDArray[np.int64]
    seed: int
    layer: int

    @property
    def bits(self) -> int:
        """k levels."""
        return len(self.levels) * _width(self.levels)

    def vector(self) -> Float64Array:
        """c^ = (1/k) sum_l z_l v_l, (h,)."""
        drawn = gaussians(len(self.levels), self.size, seed=self.seed, layer=self.layer)
        return np.asarray(self.levels * self.spacing @ drawn / len(self.levels))


def vector_compress(vector: Float64Array, gamma: float, eta: float, *, seed: int, stream: int) -> SparseCode:
    """Algorithm 2 with Lemma 5's rounding, corrected.

    First c_j := 0 where |c_j| < gamma / (4 sqrt h). Coordinate j stays with probability
    p_j = min(1, 8 c_j^2 / (eta gamma^2)), Algorithm 2 at gamma / 2, as c_j / p_j rounded to multiples of
    gamma / (2 sqrt h). Lemma 5 as printed also deletes what is then at least 2 eta gamma sqrt h; with p capped at 1
    those are the largest coordinates, so that cut is not made.

    Args:
        vector: c, |c| <= 1, (h,).
        gamma: Error.
        eta: Probability of failure.
        seed: Of the draw.
        stream: Number of the vector.
    """
    size = len(vector)
    kept = np.where(np.abs(vector) < gamma / (4 * sqrt(size)), 0.0, vector)
    chance = np.minimum(1.0, 8 * kept**2 / (eta * gamma**2))
    drawn = _uniform(size, seed, stream) < chance
    spread = np.divide(kept, chance, out=np.zeros(size), where=drawn)
    spacing = gamma / (2 * sqrt(size))
    levels = np.rint(spread / spacing).astype(np.int64)
    places = np.flatnonzero(levels)
    return SparseCode(size, spacing, places, levels[places])


def projections_of_vector(gamma: float, eta: float, constants: Constants = "explicit") -> int:
    """k of Algorithm 3: ceil(16 ln(1/eta) / gamma^2) in the paper, else from tails with every constant at gamma / 2.

    The other half of gamma is for the rounding. k = ceil(ln(4/eta) / (t^2/4 - t^3/6)), t = gamma / 2.

    >>> projections_of_vector(0.5, 0.05, "paper"), projections_of_vector(0.5, 0.05)
    (192, 337)
    """
    if constants == "paper":
        return ceil(16 * log(1 / eta) / gamma**2)
    t = gamma / 2
    return ceil(log(4 / eta) / (t**2 / 4 - t**3 / 6))


def vector_project(vector: Float64Array, gamma: float, count: int, *, seed: int, layer: int) -> GaussianCode:
    """Algorithm 3 with its rounding to multiples of gamma / (2 sqrt(h k)).

    Args:
        vector: c, |c| <= 1, (h,).
        gamma: Error.
        count: k.
        seed: Of the helper string.
        layer: Number of the layer there.
    """
    size = len(vector)
    spacing = gamma / (2 * sqrt(size * count))
    products = gaussians(count, size, seed=seed, layer=layer) @ vector
    return GaussianCode(size, spacing, np.rint(products / spacing).astype(np.int64), seed, layer)


def gaussians(count: int, size: int, *, seed: int, layer: int) -> Float64Array:
    """Standard normal vectors of the helper string, (count, size)."""
    return normal_noise(seed, layer, np.arange(count), _UNIFORM_STREAM + 1, size).astype(np.float64)


def _uniform(size: int, seed: int, stream: int) -> Float64Array:
    """Uniform numbers in [0, 1) with 53 bits, (size,)."""
    words = np.random.Philox(counter=[0, 0, stream, _UNIFORM_STREAM], key=key_of(seed)).random_raw(size)
    return (words >> np.uint64(11)).astype(np.float64) / 2.0**53


def _width(levels: NDArray[np.int64]) -> int:
    return max(1, ceil(log2(2 * int(np.abs(levels).max(initial=0)) + 1)))
