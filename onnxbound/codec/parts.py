"""How the tensor of a hole is written: on a lattice, as a product of two such tensors, or as it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Levels:
    """A tensor on a lattice.

    Attributes:
        step: Distance of neighbours, a positive float32 that `rounded_step` leaves as it is.
        levels: Integers, of the tensor's shape.
    """

    step: float
    levels: NDArray[np.int64]

    def tensor(self) -> NDArray[np.float32]:
        """Levels times step, rounded once."""
        with np.errstate(over="ignore"):  # a decoder looks for infinities itself
            return np.asarray(self.levels.astype(np.float32) * np.float32(self.step), np.float32)


@dataclass(frozen=True, slots=True)
class Exact:
    """A tensor as it is.

    Attributes:
        values: float32.
    """

    values: NDArray[np.float32]

    def tensor(self) -> NDArray[np.float32]:
        """The values."""
        return self.values


@dataclass(frozen=True, slots=True)
class LowRank:
    """A tensor of low rank: as filters by the rest, the product of two on lattices.

    Attributes:
        left: (filters, r).
        right: (r, channels, height, width).
    """

    left: Levels
    right: Levels

    @property
    def exact(self) -> bool:
        """Whether the product of the levels is exact in float64, in whatever order it is added up."""
        left, right = (int(np.abs(part.levels).max(initial=0)) for part in (self.left, self.right))
        return int(self.left.levels.shape[1]) * left * right < 1 << 53

    def tensor(self) -> NDArray[np.float32]:
        """(filters, the rest): the integers' product times both steps, rounded to float64 and then to float32."""
        left, right = (part.levels.reshape(len(part.levels), -1).astype(np.float64) for part in (self.left, self.right))
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray((left @ right) * (self.left.step * self.right.step), np.float32)


Part = Levels | LowRank | Exact
