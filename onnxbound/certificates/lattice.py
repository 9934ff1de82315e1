"""Weights moved onto a lattice at the least cost in divergence and bits, with second-order compensation.

The cost of levels l is `(s l - w)^T F (s l - w) / 2 + price * bits(l)`, with F the Gauss-Newton matrix of
`onnxbound.linear.curvature`, s the step of each entry and w where the weights would best be.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.prices import LARGEST, Prices
from onnxbound.compressors.second_order import Matrix
from onnxbound.results import Float64Array

_LEAST_CURVATURE = 1e-20
"""Where no row matters, there is none."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Where P entries may lie, and what that costs.

    Attributes:
        step: Distance of neighbours, per entry, (P,).
        tensor: Which tensor an entry belongs to, (P,).
        prices: Bits of the levels.
        price: Divergence per bit.
    """

    step: Float64Array
    tensor: NDArray[np.int64]
    prices: Prices
    price: float

    def cost(self, levels: NDArray[np.int64], wanted: Float64Array, curvature: Matrix) -> float:
        """The cost that this module lowers."""
        moved = self.step * levels - wanted
        return float(moved @ curvature @ moved / 2 + self.price * self.prices.bits(levels, self.tensor))

    def _costs(self, entry: int, tried: NDArray[np.int64]) -> Float64Array:
        """The price of some levels of one entry."""
        prices = self.prices
        flags = np.where(tried == 0, prices.zero[entry], prices.nonzero[entry])
        return np.asarray(self.price * (flags + prices.size[self.tensor[entry], np.abs(tried)]))


def rounded_in_order(wanted: Float64Array, compensating: Matrix, lattice: Lattice) -> NDArray[np.int64]:
    """One entry after the other takes its cheapest level, and those after it make up for the error.

    The step of optimal brain surgeon (Hassibi, Stork 1993) in a fixed order, as in GPTQ (Frantar et al. 2022), with the
    price of bits in the choice.

    Args:
        wanted: w, (P,).
        compensating: U of `compensation`, (P, P).
        lattice: Levels and prices.
    """
    moving = wanted.copy()
    levels = np.zeros(wanted.size, np.int64)
    for i in range(wanted.size):
        step, scale = lattice.step[i], compensating[i, i]
        tried = _near(moving[i] / step)
        prices = 0.5 * ((moving[i] - step * tried) / scale) ** 2 + lattice._costs(i, tried)
        levels[i] = tried[np.argmin(prices)]
        moving[i + 1 :] -= (moving[i] - step * levels[i]) / scale * compensating[i, i + 1 :]
    return levels


def descended(
    levels: NDArray[np.int64], slope: Float64Array, curvature: Matrix, lattice: Lattice, sweeps: int
) -> NDArray[np.int64]:
    """Sweeps in which every entry takes the cheapest level given all others; the cost never rises.

    Args:
        levels: Where the entries are, (P,).
        slope: Of the divergence there, (P,).
        curvature: F, (P, P).
        lattice: Levels and prices.
        sweeps: At most.
    """
    result, slope = levels.copy(), slope.copy()
    for _ in range(sweeps):
        changed = False
        for i in range(result.size):
            step, bend = lattice.step[i], curvature[i, i]
            best = result[i] - slope[i] / (bend * step)
            tried = np.append(_near(best), result[i])
            move = step * (tried - result[i])
            prices = slope[i] * move + 0.5 * bend * move**2 + lattice._costs(i, tried)
            chosen = int(np.argmin(prices))
            if prices[chosen] < prices[-1]:
                slope += curvature[i] * move[chosen]
                result[i] = tried[chosen]
                changed = True
        if not changed:
            break
    return result


def damped(curvature: Matrix, tensor: NDArray[np.int64], damping: float) -> Matrix:
    """The curvature with this share of the mean of its diagonal in each tensor added to the diagonal."""
    mean = np.bincount(tensor, np.diag(curvature)) / np.maximum(np.bincount(tensor), 1)
    mean = np.maximum(mean[tensor], max(1e-6 * float(mean.max()), _LEAST_CURVATURE))
    result = curvature.copy()
    result[np.diag_indices_from(result)] += (damping * mean).astype(np.float32)
    return result


def _near(place: float) -> NDArray[np.int64]:
    """The two levels around a place, and 0."""
    below = int(np.floor(max(-LARGEST, min(LARGEST - 1, place))))
    return np.array([below, below + 1, 0])
