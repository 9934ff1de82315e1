"""The search for the code with the best bound: rounds of rounding, each at a price of bits that may rise.

It moves the weights of a trained network onto a lattice and looks for the cheapest network that still decides like it:
no label is learnt, the only targets are the network's own outputs. Each round linearises the network as it now is at
fresh rows, finds where its weights would best be to second order, and moves them onto the lattice with the price of
bits in every choice. Several prices and dampings are tried, and the candidate of the smallest bound is kept, its
errors counted on rows that are set aside for that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

import numpy as np
from numpy.typing import NDArray

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.candidates import Aim, Choice, Point
from onnxbound.certificates.judge import Judge, temperatures
from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.space import LevelVector, Space, Tensors
from onnxbound.codec.describe import Description
from onnxbound.codec.network_code import NetworkCode, encode, rounded_step
from onnxbound.compressors.lattice import Lattice, Matrix, descended, rounded_in_order
from onnxbound.compressors.prices import LARGEST
from onnxbound.graph.network import Network
from onnxbound.linear.curvature import Curvature, Target, curvature
from onnxbound.results import Float64Array
from onnxbound.stability.margin import margins

_STEP = 0.02
"""Lattice step of a tensor, over 1 / sqrt(mean of the curvature's diagonal)."""

_FIRST_STEPS = (0.5, 1.0, 2.0, 4.0)
"""Of `_STEP`, tried in the first round; the best is kept, and later rounds try it coarser by `_COARSER`."""

_COARSER = 1.2

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

_LEFT_OUT = 1e-4
"""Share of the divergence of losing everything that the entries left at 0 from the start may cause."""

_KEPT = 0.5
"""Share of the curvature of the rounds before that is kept in the mean."""

_TUNING = 1.25
"""Factor by which the step of a single tensor is tried coarser and finer."""

_FEWEST_TO_TUNE = 100
"""Entries below which a tensor's step is left as it is."""

_MORE_ROWS = 2.0
"""Small networks are linearised at up to so many times the rows: their curvature is cheap to add up."""

_SWEEPS = 4
_PROBES = 1
_JUDGED = 10_000
_BATCH_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a search may do.

    Attributes:
        rounds: Rounds of rounding.
        rows: Rows that are linearised in each, more for networks of fewer entries.
        entries: Parameters that can be moved; the others are 0 from the start.
    """

    rounds: int
    rows: int
    entries: int

    @classmethod
    def of(cls, level: int) -> "Effort":
        """Of --effort 1 to 9."""
        return cls(rounds=1 + level, rows=2000 * (level + 1), entries=1000 + 1200 * level)


@dataclass(frozen=True, slots=True)
class Found:
    """A code and what it is worth.

    Attributes:
        code: What is written.
        data: How.
        errors: Rows that the network errs on, as counted during the search.
        bound: The error it certifies.
        round: The round that found it, from 1.
        rounds: Rounds in all.
    """

    code: NetworkCode
    data: bytes
    errors: int
    bound: Decimal
    round: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Task:
    """What a search is for.

    Attributes:
        network: The trained network.
        described: It, taken apart.
        outputs: Its skeleton at the rows.
        labels: Of the rows, (m,).
        prior: Tensors of the prior network in the holes; None without one.
        numbers: Of the preprocessing, which the code writes down.
        with_skeleton: Whether the code holds the skeleton.
        delta: Of the bound.
    """

    network: Network
    described: Description
    outputs: Outputs
    labels: NDArray[np.int64]
    prior: Tensors | None
    numbers: tuple[float, ...]
    with_skeleton: bool
    delta: Decimal


def search(task: Task, effort: Effort, generator: np.random.Generator) -> Iterator[Found]:
    """Every round's code, in their order; the best is that of the smallest bound."""
    return _Search(task, effort, generator).rounds()


class _Search:
    def __init__(self, task: Task, effort: Effort, generator: np.random.Generator) -> None:
        self._task, self._effort, self._generator = task, effort, generator
        self._space = Space(task.network, task.described, task.prior, task.numbers)
        self._logits = task.outputs.logits(task.described.tensors)
        self._temperature = temperatures(self._logits, task.labels)
        count = len(task.labels)
        judged = np.sort(generator.choice(count, min(_JUDGED, count), replace=False))
        self._judge = Judge.of(task.outputs, task.labels, float(task.delta), self._logits, judged)

    def rounds(self) -> Iterator[Found]:
        space, rounds = self._space, self._effort.rounds
        first = self._curvature(space.trained, np.zeros(0, np.int64), self._effort.rows // 4)
        entries = self._worth_moving(space.trained**2 * first.diagonal)
        start = np.zeros_like(space.trained)
        start[entries] = space.trained[entries]
        steps = self._steps(first.diagonal, entries)
        rows = int(self._effort.rows * min(_MORE_ROWS, (self._effort.entries / entries.size) ** 2))
        seen = self._curvature(start, entries, rows)
        matrix = seen.matrix
        at = self._first_round(start, seen.gradient, matrix, entries, steps)
        yield self._found(1, at)
        for number in range(2, rounds + 1):
            seen = self._curvature(at.levels * at.steps[space.tensor], entries, rows)
            matrix = _KEPT * matrix + (1 - _KEPT) * seen.matrix
            at = self._later_round(at, seen.gradient, matrix, entries)
            yield self._found(number, at)

    def _first_round(
        self,
        start: Float64Array,
        gradient: Float64Array,
        matrix: NDArray[np.float32],
        entries: NDArray[np.int64],
        steps: Float64Array,
    ) -> Point:
        """From the trained network onto a lattice: the best of several steps, prices and dampings."""
        choice = Choice()
        for damped in self._damped(matrix, entries, _FIRST_DAMPING):
            aim = Aim.of(start, gradient, damped, entries)
            for coarseness, price in product(_FIRST_STEPS, _FIRST_PRICES):
                point = self._rounded(aim, coarseness * steps, price)
                choice.offer(point, self._bound(point), aim)
        return self._tuned(choice)

    def _later_round(
        self, at: Point, gradient: Float64Array, matrix: NDArray[np.float32], entries: NDArray[np.int64]
    ) -> Point:
        """From a network on the lattice to a better one, or to the same at a lower price."""
        here = at.levels * at.steps[self._space.tensor]
        choice = Choice(Point(at.levels, at.steps, at.price / _RISE), self._bound(at))
        for damped in self._damped(matrix, entries, _DAMPING):
            aim = Aim.of(here, gradient, damped, entries)
            for price in (at.price, _RISE * at.price):
                for point in (
                    self._descended(aim, at, damped, price),
                    self._rounded(aim, at.steps, price),
                    self._rounded(aim, _COARSER * at.steps, price),
                ):
                    choice.offer(point, self._bound(point), aim)
        return self._tuned(choice)

    def _tuned(self, choice: Choice) -> Point:
        """One tensor after the other with a coarser and a finer lattice."""
        if choice.aim is not None:
            large = np.flatnonzero(np.bincount(self._space.tensor[choice.aim.entries]) >= _FEWEST_TO_TUNE)
            for tensor, factor in product(large, (_TUNING, 1 / _TUNING)):
                steps = choice.point.steps.copy()
                steps[tensor] *= factor
                point = self._rounded(choice.aim, steps, choice.point.price)
                choice.offer(point, self._bound(point), choice.aim)
        return choice.point

    def _damped(
        self, matrix: NDArray[np.float32], entries: NDArray[np.int64], dampings: tuple[float, ...]
    ) -> Iterator[NDArray[np.float32]]:
        """The curvature with something added to its diagonal, so that no direction is taken for free."""
        diagonal = np.zeros_like(self._space.trained)
        diagonal[entries] = np.diag(matrix)
        mean = self._space.mean_per_tensor(diagonal, entries)[self._space.tensor[entries]]
        mean = np.maximum(mean, 1e-6 * float(mean.max()))
        for damping in dampings:
            damped = matrix.copy()
            damped[np.diag_indices_from(damped)] += (damping * mean).astype(np.float32)
            yield damped

    def _rounded(self, aim: Aim, steps: Float64Array, price: float) -> Point:
        """The entries rounded in order, at prices that fit plain rounding of where they are."""
        lengths = np.array([rounded_step(step) for step in steps])
        plain = np.rint(aim.here / lengths[self._space.tensor]).clip(-LARGEST, LARGEST).astype(np.int64)
        levels = np.zeros_like(plain)
        lattice = self._lattice(plain, lengths, aim.entries, price)
        levels[aim.entries] = rounded_in_order(aim.wanted, aim.compensating, lattice)
        return Point(levels, lengths, price)

    def _descended(self, aim: Aim, at: Point, damped: Matrix, price: float) -> Point:
        """The entries moved one by one from where they are."""
        lattice = self._lattice(at.levels, at.steps, aim.entries, price)
        levels = np.zeros_like(at.levels)
        levels[aim.entries] = descended(at.levels[aim.entries], aim.wanted, damped, lattice, _SWEEPS)
        return Point(levels, at.steps, price)

    def _lattice(self, levels: LevelVector, steps: Float64Array, entries: NDArray[np.int64], price: float) -> Lattice:
        """Where the entries may lie, with prices that fit some levels."""
        tensor = self._space.tensor[entries]
        prices = self._space.prices(levels).of(entries)
        return Lattice(steps[tensor], tensor, prices, price / len(self._task.labels))

    def _worth_moving(self, worth: Float64Array) -> NDArray[np.int64]:
        """The fewest entries that leave little of the worth out, ascending."""
        order = np.argsort(-worth, kind="stable")
        left_out = worth.sum() - np.cumsum(worth[order])
        count = int(np.searchsorted(-left_out, -_LEFT_OUT * worth.sum())) + 1
        return np.sort(order[: min(count, self._effort.entries)])

    def _steps(self, diagonal: Float64Array, entries: NDArray[np.int64]) -> Float64Array:
        """A step per tensor: the more the outputs move with its entries, the shorter; none needs levels too large."""
        space = self._space
        means = space.mean_per_tensor(diagonal, entries)
        means = np.maximum(means, max(1e-9 * float(means.max()), float(np.finfo(np.float64).tiny)))
        steps = _STEP / np.sqrt(means) * np.where(space.bias, _BIAS_STEP, 1)
        largest = np.maximum.reduceat(np.abs(space.trained), space.starts)
        return np.maximum(steps, largest / (min(_FIRST_STEPS) * (LARGEST - 1)))

    def _curvature(self, moved: Float64Array, entries: NDArray[np.int64], rows: int) -> Curvature:
        count = len(self._task.labels)
        places = np.sort(self._generator.choice(count, min(rows, count), replace=False))
        batch = max(1, min(250, _BATCH_BYTES // (4 * (_PROBES + 1) * moved.size)))
        parts = np.split(places, range(batch, len(places), batch))
        targets = (Target(self._task.outputs.inputs(p), self._logits[p], self._temperature[p]) for p in parts)
        return curvature(self._space.network(moved), targets, entries, _PROBES, self._generator)

    def _bound(self, point: Point) -> float:
        """What its code would certify, estimated."""
        bits = self._space.prices(point.levels).bits(point.levels, self._space.tensor)
        return self._judge.estimated_bound(self._space.tensors(point.levels, point.steps), bits)

    def _found(self, number: int, point: Point) -> Found:
        task = self._task
        code = self._space.code(point.levels, point.steps)
        data = encode(task.described.skeleton, code, with_skeleton=task.with_skeleton)
        logits = task.outputs.logits(code.tensors(task.described.skeleton, task.prior))
        errors = int(np.sum(~(margins(logits, task.labels) > 0)))
        bound = error_bound(errors, len(task.labels), 8 * len(data), task.delta)
        return Found(code, data, errors, bound, number, self._effort.rounds)
