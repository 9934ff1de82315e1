"""How a tensor is written: as integers times one step, as a product of two such tensors, or as 32-bit floats."""

from dataclasses import dataclass
from math import cos, pi, prod, sqrt

import numpy as np
from numpy.typing import NDArray

_COSINE_BITS = 12
_EXACT = 1 << 53
"""Float64 has every integer up to it."""


@dataclass(frozen=True, slots=True)
class Levels:
    """A tensor on a lattice.

    Attributes:
        step: Distance of two neighbours on the lattice, a positive float32 that `rounded_step` does not change.
        levels: Integers, of the tensor's shape.
        cosine: Whether the lattice is that of the kernels' cosine transform.
    """

    step: float
    levels: NDArray[np.int64]
    cosine: bool = False

    @property
    def exact(self) -> bool:
        """Whether the transform, if there is one, is exact in float64, whatever the order of its sums."""
        largest = int(np.abs(self.levels).max(initial=0))
        return not self.cosine or largest * prod(n << _COSINE_BITS for n in self.levels.shape[2:]) < _EXACT

    def tensor(self) -> NDArray[np.float32]:
        """Integers times step, rounded once; a cosine transform is inverted exactly before."""
        with np.errstate(over="ignore", under="ignore"):  # a decoder looks for such numbers itself
            if not self.cosine:
                return np.asarray(self.levels.astype(np.float32) * np.float32(self.step), np.float32)
            values = self.levels.astype(np.float64)
            for axis in range(2, values.ndim):
                values = np.moveaxis(np.tensordot(values, cosines(values.shape[axis]), (axis, 0)), -1, axis)
            return np.asarray(values * (self.step * 2.0 ** (-_COSINE_BITS * (values.ndim - 2))), np.float32)


def cosines(length: int) -> NDArray[np.float64]:
    """The orthonormal cosine transform, frequencies by places, in units of 2^-12, rounded."""
    scale = [sqrt((2 if k else 1) / length) * (1 << _COSINE_BITS) for k in range(length)]
    rows = [[round(scale[k] * cos(pi * (2 * x + 1) * k / (2 * length))) for x in range(length)] for k in range(length)]
    return np.array(rows, np.float64)


@dataclass(frozen=True, slots=True)
class Exact:
    """A tensor as 32-bit floats.

    Attributes:
        values: float32.
    """

    values: NDArray[np.float32]

    def tensor(self) -> NDArray[np.float32]:
        """The values."""
        return self.values


@dataclass(frozen=True, slots=True)
class LowRank:
    """A tensor of low rank: its matrix of filters by the rest is the product of two tensors on lattices.

    Attributes:
        left: (filters, r).
        right: (r, channels, height, width).
    """

    left: Levels
    right: Levels

    @property
    def exact(self) -> bool:
        """Whether the product of the integers is exact in float64, whatever the order of its sums."""
        left, right = (int(np.abs(part.levels).max(initial=0)) for part in (self.left, self.right))
        return int(self.left.levels.shape[1]) * left * right < _EXACT

    def tensor(self) -> NDArray[np.float32]:
        """(filters, the rest): the integers' product times both steps, rounded to float64 and then to float32."""
        left, right = (part.levels.reshape(len(part.levels), -1).astype(np.float64) for part in (self.left, self.right))
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray((left @ right) * (self.left.step * self.right.step), np.float32)


Part = Levels | LowRank | Exact
