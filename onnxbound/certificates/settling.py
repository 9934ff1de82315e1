"""A network on a lattice settled to second order, in rounds.

The runs of `thinning` end with noise in their last steps. A round takes the gradient and the curvature of the loss
where the network is, for the entries that are not 0 and for those zeros that promise most, and lets every entry take
its cheapest level given all others, the price of bits in every choice. The quadratic model holds near by only: the more
the curvature is damped, the fewer entries move. So several dampings and prices are tried, and what has the smallest
bound is kept.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.judge import Judge
from onnxbound.certificates.lattice import Lattice, damped, descended
from onnxbound.certificates.loss import Loss
from onnxbound.certificates.space import LevelVector, Point, Space
from onnxbound.results import Float64Array

_ENTRIES = 3000
_SWEEPS = 4

_DAMPINGS = (0.1, 0.3, 1.0)
"""Added to the curvature's diagonal, over its mean in the tensor."""

_PRICES = (0.67, 1.0, 1.5)
"""Over that of the round before."""


class Settling:
    """Rounds, each from the network of the one before.

    Args:
        space: Of the network.
        loss: What is lowered.
        judge: What candidates would certify.
        rows: Linearised in a round.
        generator: Of the rows that are drawn and of the probes.
    """

    def __init__(self, space: Space, loss: Loss, judge: Judge, rows: int, generator: np.random.Generator) -> None:
        self._space, self._loss, self._judge = space, loss, judge
        self._rows, self._generator = min(rows, loss.kept.size), generator

    def round(self, at: Point) -> Point:
        """A better network, or the same."""
        best, least = at, self._judge.worth(self._space, at.levels, at.steps, np.inf)
        for tried in self._candidates(at):
            bound = self._judge.worth(self._space, tried.levels, tried.steps, least)
            if bound < least:
                best, least = tried, bound
        return best

    def _candidates(self, at: Point) -> Iterator[Point]:
        """One per damping and price; none where no row matters."""
        if not self._rows:
            return
        places = np.sort(self._generator.choice(self._loss.kept, self._rows, replace=False))
        step = at.steps[self._space.tensor]
        slope = self._loss.slope(at.levels * step, places)
        entries = _promising(at.levels, slope * step)
        matrix = self._loss.bend(at.levels * step, places, entries, self._generator)
        tensor = self._space.tensor[entries]
        prices = self._space.prices(at.levels).of(entries)
        for damping in _DAMPINGS:
            bend = damped(matrix, tensor, damping)
            for price in (factor * at.price for factor in _PRICES):
                lattice = Lattice(step[entries], tensor, prices, price / self._loss.rows)
                levels = at.levels.copy()
                levels[entries] = descended(levels[entries], slope[entries], bend, lattice, _SWEEPS)
                yield Point(levels, at.steps, price)


def _promising(levels: LevelVector, slope: Float64Array) -> NDArray[np.int64]:
    """Entries that are not 0, and zeros behind them, each by how much the loss changes with a step; ascending."""
    return np.sort(np.lexsort((-np.abs(slope), levels == 0))[:_ENTRIES])
