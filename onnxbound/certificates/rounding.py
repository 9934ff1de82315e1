"""A trained network rounded onto a lattice to second order, in rounds: for networks of few parameters.

Each round linearises the network as it now is at fresh rows, finds where its parameters would best be, and moves them
onto the lattice with the price of bits in every choice. Several prices and dampings are tried, and the candidate of the
smallest bound is kept. What is kept is the outputs of the trained network, row by row as far as the row's margin says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.judge import Judge
from onnxbound.certificates.lattice import Lattice, damped, descended, rounded_in_order
from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.prices import LARGEST, nearest_levels
from onnxbound.certificates.space import LevelVector, Point, Space
from onnxbound.codec.network_code import rounded_step
from onnxbound.compressors.second_order import Matrix, compensation
from onnxbound.linear.curvature import Curvature, Target, curvature, in_batches
from onnxbound.linear.gradient import gaps
from onnxbound.results import Float64Array

_STEP = 0.02
"""Lattice step of a tensor, over 1 / sqrt(mean of the curvature's diagonal)."""

_FIRST_STEPS = (0.5, 1.0, 2.0, 4.0)
"""Of `_STEP`, tried in the first round; the best is kept, and later rounds try it coarser by `_COARSER`."""

_COARSER = 1.2

_DEARER = 1.25
"""What a bit counts for in the first round: later ones make up for errors more than for bits."""

_BIAS_STEP = 0.5
"""A bias has few entries and moves a whole channel: its step is finer by this."""

_FIRST_PRICES = (0.3, 2.0, 12.0)
"""Divergence of all rows together per bit, tried in the first round; later rounds go on from the best.

On MNIST an error costs as much as about three bits, and the best prices are 0.2 to 3.
"""

_RISE = 1.8
"""Later rounds try the price of the round before and one that is higher by this; where neither is better, it falls."""

_FIRST_DAMPING = (0.1, 0.4)
_DAMPING = (0.03, 0.1, 0.3)
"""Added to the curvature's diagonal, over its mean in the tensor."""

_LEAST_CURVATURE = 1e-20
"""Where no row matters, there is none."""

_KEPT = 0.5
"""Share of the curvature of the rounds before that is kept in the mean."""

_TUNING = 1.25
"""Factor by which the step of a single tensor is tried coarser and finer."""

_FEWEST_TO_TUNE = 100
"""Entries below which a tensor's step is left as it is."""

_SWEEPS = 4
_PROBES = 1


@dataclass(frozen=True, slots=True)
class _Aim:
    """Where the parameters would best be, for one damping.

    Attributes:
        here: Where they are, (P,).
        wanted: Where they would best be, (P,).
        damped: The curvature, (P, P).
        compensating: U of `compensation`, (P, P).
    """

    here: Float64Array
    wanted: Float64Array
    damped: Matrix
    compensating: Matrix


@dataclass(slots=True)
class _Choice:
    """The best candidate so far, its bound with dearer bits, and the aim that it was rounded from."""

    point: Point
    dearer: float = 1
    bound: float = np.inf
    aim: _Aim | None = None


class Rounding:
    """Rounds, each from the network of the one before.

    Args:
        space: Of the trained network.
        outputs: Where rows come from.
        logits: Of the trained network at all rows, (m, K).
        labels: Of all rows, (m,); rows that it errs on do not matter.
        judge: What candidates would certify.
        rows: Linearised in a round.
        generator: Of the rows that are drawn and of the probes.
    """

    def __init__(
        self,
        space: Space,
        outputs: Outputs,
        logits: Float64Array,
        labels: NDArray[np.int64],
        judge: Judge,
        rows: int,
        generator: np.random.Generator,
    ) -> None:
        self._space, self._outputs, self._logits = space, outputs, logits
        self._temperature, self._judge = temperatures(logits, labels), judge
        self._rows, self._generator = min(rows, len(labels)), generator

    def rounds(self) -> Iterator[Point]:
        """The network after each round, without end."""
        seen = self._curvature(self._space.trained)
        matrix = seen.matrix
        at = self._first_round(matrix, seen.gradient)
        while True:
            yield at
            here = at.levels * at.steps[self._space.tensor]
            seen = self._curvature(here)
            matrix = _KEPT * matrix + (1 - _KEPT) * seen.matrix
            at = self._later_round(at, here, matrix, seen.gradient)

    def _first_round(self, matrix: Matrix, gradient: Float64Array) -> Point:
        """From the trained network onto a lattice: the best of several steps, prices and dampings."""
        start = self._space.trained
        lengths = self._lengths(matrix, start)
        choice = _Choice(Point(np.zeros(start.size, np.int64), lengths, _FIRST_PRICES[0]), _DEARER)
        for aim in self._aims(start, gradient, matrix, _FIRST_DAMPING):
            for coarseness, price in product(_FIRST_STEPS, _FIRST_PRICES):
                self._offer(choice, self._rounded(aim, coarseness * lengths, price), aim)
        return self._tuned(choice)

    def _later_round(self, at: Point, here: Float64Array, matrix: Matrix, gradient: Float64Array) -> Point:
        """From a network on the lattice to a better one, or to the same at a lower price."""
        choice = _Choice(at)
        self._offer(choice, replace(at, price=at.price / _RISE))
        for aim in self._aims(here, gradient, matrix, _DAMPING):
            for price in (at.price, _RISE * at.price):
                self._offer(choice, self._descended(aim, at, price), aim)
                for coarser in (1, _COARSER):
                    self._offer(choice, self._rounded(aim, coarser * at.steps, price), aim)
        return self._tuned(choice)

    def _tuned(self, choice: _Choice) -> Point:
        """One tensor after the other with a coarser and a finer lattice."""
        large = np.flatnonzero(np.bincount(self._space.tensor) >= _FEWEST_TO_TUNE)
        if choice.aim is not None:
            for tensor, factor in product(large, (_TUNING, 1 / _TUNING)):
                steps = choice.point.steps.copy()
                steps[tensor] *= factor
                self._offer(choice, self._rounded(choice.aim, steps, choice.point.price), choice.aim)
        return choice.point

    def _offer(self, choice: _Choice, point: Point, aim: _Aim | None = None) -> None:
        """Its bound is estimated as far as it takes to see that it is no better."""
        bound = self._judge.worth(self._space, point.levels, point.steps, choice.bound, choice.dearer)
        if bound < choice.bound:
            choice.point, choice.bound, choice.aim = point, bound, aim

    def _aims(
        self, here: Float64Array, gradient: Float64Array, matrix: Matrix, dampings: tuple[float, ...]
    ) -> Iterator[_Aim]:
        """One step of Newton's method away, the curvature damped so that no direction is taken for free."""
        for damping in dampings:
            bend = damped(matrix, self._space.tensor, damping)
            compensating = compensation(bend)
            yield _Aim(here, here - compensating.T @ (compensating @ gradient), bend, compensating)

    def _rounded(self, aim: _Aim, steps: Float64Array, price: float) -> Point:
        """The entries rounded in order, at prices that fit plain rounding of where they are."""
        lengths = np.array([rounded_step(step) for step in steps])
        plain = nearest_levels(aim.here, lengths[self._space.tensor])
        lattice = self._lattice(plain, lengths, price)
        return Point(rounded_in_order(aim.wanted, aim.compensating, lattice), lengths, price)

    def _descended(self, aim: _Aim, at: Point, price: float) -> Point:
        """The entries moved one by one from where they are."""
        lattice = self._lattice(at.levels, at.steps, price)
        slope = aim.damped @ (lattice.step * at.levels - aim.wanted)
        return Point(descended(at.levels, slope, aim.damped, lattice, _SWEEPS), at.steps, price)

    def _lattice(self, levels: LevelVector, steps: Float64Array, price: float) -> Lattice:
        """Where the entries may lie, with prices that fit some levels."""
        tensor = self._space.tensor
        return Lattice(steps[tensor], tensor, self._space.prices(levels), price / len(self._temperature))

    def _lengths(self, matrix: Matrix, start: Float64Array) -> Float64Array:
        """A step per tensor: the more the outputs move with its entries, the shorter; none needs levels too large."""
        means = self._mean_curvature(matrix)
        means = np.maximum(means, max(1e-9 * float(means.max()), _LEAST_CURVATURE))
        steps = _STEP / np.sqrt(means) * np.where(self._space.bias, _BIAS_STEP, 1)
        largest = np.maximum.reduceat(np.abs(start), self._space.starts)
        return np.maximum(steps, largest / (min(_FIRST_STEPS) * (LARGEST - 1)))

    def _mean_curvature(self, matrix: Matrix) -> Float64Array:
        """Mean of its diagonal per tensor, (tensors,)."""
        diagonal = np.diag(matrix).astype(np.float64)
        return self._space.mean_per_tensor(diagonal, np.arange(diagonal.size))

    def _curvature(self, moved: Float64Array) -> Curvature:
        return curvature(self._space.network(moved), self._targets(moved.size), _PROBES, self._generator)

    def _targets(self, numbers: int) -> Iterator[Target]:
        """Fresh rows and what the trained network makes of them, in batches that fit so many numbers per row."""
        places = np.sort(self._generator.choice(len(self._temperature), self._rows, replace=False))
        for p in in_batches(places, numbers, _PROBES):
            yield Target(self._outputs.views(p), self._logits[p], self._temperature[p])


def temperatures(logits: Float64Array, labels: NDArray[np.int64]) -> Float64Array:
    """How much of its logits' differences each row can do without, (m,).

    Half the gap of the two largest logits, but no less than half of a low quantile of all gaps; infinite where the
    network errs, so that its own errors are not protected. The more it errs, the more it may err: the quantile is 0.1
    and rises by one and a half times the error.
    """
    leads = gaps(logits)
    right = logits.argmax(axis=1) == labels
    lowest = np.quantile(leads, min(0.5, 0.1 + 1.5 * (1 - right.mean())))
    floor = max(float(lowest), float(np.finfo(np.float32).tiny))
    return np.where(right, np.maximum(leads, floor) / 2, np.inf)
