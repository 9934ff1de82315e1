"""Plain quantisation: every entry rounded to a grid of its output unit. The baseline that everybody knows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.results import Float64Array


@dataclass(frozen=True, slots=True)
class Quantised:
    """A matrix on grids.

    Attributes:
        steps: Distance of the levels per output unit, float32 numbers, (h,).
        levels: Integers of magnitude at most 2^(width - 1) - 1, of the matrix's shape.
        width: Bits of one level.
    """

    steps: Float64Array
    levels: NDArray[np.int64]
    width: int

    def matrix(self) -> Float64Array:
        """Levels times steps."""
        return self.levels * self.steps.reshape(-1, *(1,) * (self.levels.ndim - 1))


def quantise(matrix: Float64Array, width: int) -> Quantised:
    """Round to the nearest level, symmetric around 0, the largest magnitude of a unit being its last level.

    Args:
        matrix: A, output units first.
        width: Bits of one level, at least 2.

    >>> quantise(np.array([[1.0, -0.4]]), 3).levels
    array([[ 3, -1]])
    """
    last = 2 ** (width - 1) - 1
    largest = np.abs(matrix.reshape(len(matrix), -1)).max(axis=1)
    steps = (largest / last).astype(np.float32).astype(np.float64)
    divisors = np.where(steps > 0, steps, 1.0).reshape(-1, *(1,) * (matrix.ndim - 1))
    return Quantised(steps, np.clip(np.rint(matrix / divisors), -last, last).astype(np.int64), width)
