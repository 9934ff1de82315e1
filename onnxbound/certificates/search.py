"""The search for the code with the best bound: the network is thinned, and what is left of it rounded, in rounds.

No label is learnt unless it is asked for: the only targets are the network's own decisions and outputs. Thinning
(`thinning`) drives most weights to zero by gradient steps, at a price of bits. The thin network is then the one whose
outputs are kept. Each round linearises the network as it now is at fresh rows, finds where its weights would best be to
second order, and moves them onto the lattice with the price of bits in every choice. Several prices and dampings are
tried, and the candidate of the smallest bound is kept, its errors counted on rows that are set aside for that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.candidates import Aim, Choice, Point
from onnxbound.certificates.judge import Judge, temperatures
from onnxbound.certificates.space import LevelVector, Space, Tensors
from onnxbound.certificates.task import Effort, Found, Task
from onnxbound.certificates.thinning import Thinning
from onnxbound.codec.network_code import encode, rounded_step
from onnxbound.compressors.lattice import Lattice, Matrix, descended, rounded_in_order
from onnxbound.compressors.prices import LARGEST
from onnxbound.linear.curvature import Curvature, Target, curvature
from onnxbound.results import Float64Array
from onnxbound.stability.row_margins import margins

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

_LEAST_CURVATURE = 1e-20
"""Where no row matters, there is none."""

_KEPT = 0.5
"""Share of the curvature of the rounds before that is kept in the mean."""

_TUNING = 1.25
"""Factor by which the step of a single tensor is tried coarser and finer."""

_FEWEST_TO_TUNE = 100
"""Entries below which a tensor's step is left as it is."""

_MORE_ROWS = 2.0
"""Small networks are linearised at up to so many times the rows: their curvature is cheap to add up."""

_QUICK, _QUICK_PRICE = 5, 3.0
"""The first certificate of a large net comes from so many times fewer batches and rows, at a price that thins faster.

That of a net of which all parameters may be moved is of the net as it is.
"""

_PRICE, _PRICE_OF_ERRORS = 1.5, 5.0
"""Cross-entropy of all rows together per bit when a network is thin, and how that rises with the trained one's error.

The nearer the bound is to chance, the fewer bits an error costs.
"""

_SWEEPS = 4
_PROBES = 1
_JUDGED = 10_000
_BATCH_BYTES = 1 << 28


def search(task: Task, effort: Effort, generator: np.random.Generator) -> Iterator[Found]:
    """Every round's code, in their order; the best is that of the smallest bound."""
    space = Space(task.network, task.described, task.prior, task.preprocessing)
    trained = Ground.of(task, effort, generator, task.described.tensors)
    price = _PRICE + _PRICE_OF_ERRORS * float(np.mean(np.isinf(trained.temperature)))
    if space.trained.size <= effort.entries:
        early, factor = replace(effort, batches=0), 0.0
    else:
        rows, batches = effort.rows // _QUICK, effort.batches // _QUICK
        early, factor = replace(effort, batches=batches, rows=rows, entries=effort.entries // 2), _QUICK_PRICE
    first = _Search(replace(trained, effort=early), space, factor * price)
    found = first.found(1)
    yield found
    chosen = _Search(trained, space, price)
    second = chosen.found(2)
    yield second
    if found.bound < second.bound:
        chosen = first
    yield from chosen.later_rounds(3)


@dataclass(frozen=True, slots=True)
class Ground:
    """What every search for one task stands on.

    Attributes:
        task: What for.
        effort: How much work.
        generator: Of the rows that are drawn and of the probes.
        logits: Of the network that is to be kept, at all rows, (m, K).
        temperature: Of each row, (m,).
        judge: What candidates would certify.
    """

    task: Task
    effort: Effort
    generator: np.random.Generator
    logits: Float64Array
    temperature: Float64Array
    judge: Judge

    @classmethod
    def of(cls, task: Task, effort: Effort, generator: np.random.Generator, tensors: Tensors) -> "Ground":
        """A network's outputs, its tensors given, and rows set aside to judge by."""
        logits, count = task.outputs.logits(tensors), len(task.labels)
        temperature = temperatures(logits, task.labels)
        places = np.sort(generator.choice(count, min(_JUDGED, count), replace=False))
        judge = Judge.of(task.outputs, task.labels, float(task.delta), logits, places)
        return cls(task, effort, generator, logits, temperature, judge)

    def targets(self, rows: int, numbers: int) -> Iterator[Target]:
        """Fresh rows and what the trained network makes of them, in batches that fit so many numbers per row."""
        count = len(self.task.labels)
        places = np.sort(self.generator.choice(count, min(rows, count), replace=False))
        batch = max(1, min(250, _BATCH_BYTES // (4 * (_PROBES + 1) * numbers)))
        for p in np.split(places, range(batch, len(places), batch)):
            yield Target(self.task.outputs.inputs(p), self.logits[p], self.temperature[p])


class _Search:
    """The rounds of one thin network; the first is made at once.

    Args:
        trained: On which the trained network stands.
        space: Its parameters.
        price: At which it is thinned.
    """

    def __init__(self, trained: Ground, space: Space, price: float) -> None:
        task, effort = trained.task, trained.effort
        self._space = space
        thin = _thinned(trained, space, price)
        self._ground = Ground.of(task, effort, trained.generator, space.filled(thin))
        self._entries = np.flatnonzero(thin)
        share = (effort.entries / max(self._entries.size, 1)) ** 2
        self._rows = int(effort.rows * min(_MORE_ROWS, share))
        seen = self._curvature(thin)
        self._matrix = seen.matrix
        self._at = self._first_round(thin, seen.gradient)

    def later_rounds(self, first: int) -> Iterator[Found]:
        """What every further round finds; they are counted from `first`."""
        for number in range(first, self._ground.effort.rounds + 1):
            seen = self._curvature(self._at.levels * self._at.steps[self._space.tensor])
            self._matrix = _KEPT * self._matrix + (1 - _KEPT) * seen.matrix
            self._at = self._later_round(self._at, seen.gradient)
            yield self.found(number)

    def _first_round(self, start: Float64Array, gradient: Float64Array) -> Point:
        """From the trained network onto a lattice: the best of several steps, prices and dampings."""
        choice, lengths = Choice(), self._lengths(start)
        for damped in self._damped(self._matrix, _FIRST_DAMPING):
            aim = Aim.of(start, gradient, damped, self._entries)
            for coarseness, price in product(_FIRST_STEPS, _FIRST_PRICES):
                point = self._rounded(aim, coarseness * lengths, price)
                choice.offer(point, self._bound(point, choice.bound), aim)
        return self._tuned(choice)

    def _later_round(self, at: Point, gradient: Float64Array) -> Point:
        """From a network on the lattice to a better one, or to the same at a lower price."""
        here = at.levels * at.steps[self._space.tensor]
        choice = Choice(Point(at.levels, at.steps, at.price / _RISE), self._bound(at))
        for damped in self._damped(self._matrix, _DAMPING):
            aim = Aim.of(here, gradient, damped, self._entries)
            for price in (at.price, _RISE * at.price):
                for point in (
                    self._descended(aim, at, damped, price),
                    self._rounded(aim, at.steps, price),
                    self._rounded(aim, _COARSER * at.steps, price),
                ):
                    choice.offer(point, self._bound(point, choice.bound), aim)
        return self._tuned(choice)

    def _tuned(self, choice: Choice) -> Point:
        """One tensor after the other with a coarser and a finer lattice."""
        if choice.aim is not None:
            large = np.flatnonzero(np.bincount(self._space.tensor[choice.aim.entries]) >= _FEWEST_TO_TUNE)
            for tensor, factor in product(large, (_TUNING, 1 / _TUNING)):
                steps = choice.point.steps.copy()
                steps[tensor] *= factor
                point = self._rounded(choice.aim, steps, choice.point.price)
                choice.offer(point, self._bound(point, choice.bound), choice.aim)
        return choice.point

    def _damped(self, matrix: NDArray[np.float32], dampings: tuple[float, ...]) -> Iterator[NDArray[np.float32]]:
        """The curvature with something added to its diagonal, so that no direction is taken for free."""
        mean = self._mean_curvature(matrix)[self._space.tensor[self._entries]]
        mean = np.maximum(mean, max(1e-6 * float(mean.max()), _LEAST_CURVATURE))
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
        return Lattice(steps[tensor], tensor, prices, price / len(self._ground.task.labels))

    def _lengths(self, start: Float64Array) -> Float64Array:
        """A step per tensor: the more the outputs move with its entries, the shorter; none needs levels too large."""
        means = self._mean_curvature(self._matrix)
        means = np.maximum(means, max(1e-9 * float(means.max()), _LEAST_CURVATURE))
        steps = _STEP / np.sqrt(means) * np.where(self._space.bias, _BIAS_STEP, 1)
        largest = np.maximum.reduceat(np.abs(start), self._space.starts)
        return np.maximum(steps, largest / (min(_FIRST_STEPS) * (LARGEST - 1)))

    def _mean_curvature(self, matrix: NDArray[np.float32]) -> Float64Array:
        """Mean of its diagonal per tensor, (tensors,)."""
        diagonal = np.zeros_like(self._space.trained)
        diagonal[self._entries] = np.diag(matrix)
        return self._space.mean_per_tensor(diagonal, self._entries)

    def _curvature(self, moved: Float64Array) -> Curvature:
        ground = self._ground
        targets = ground.targets(self._rows, moved.size)
        return curvature(self._space.network(moved), targets, self._entries, _PROBES, ground.generator)

    def _bound(self, point: Point, enough: float = np.inf) -> float:
        """What its code would certify, estimated as far as it takes to see that it is no better than `enough`."""
        bits = self._space.prices(point.levels).bits(point.levels, self._space.tensor)
        return self._ground.judge.estimated_bound(self._space.tensors(point.levels, point.steps), bits, enough)

    def found(self, number: int) -> Found:
        """The code of the network where it is now."""
        task = self._ground.task
        code = self._space.code(self._at.levels, self._at.steps)
        data = encode(code)
        logits = task.outputs.logits(code.tensors(task.prior))
        errors = int(np.sum(~(margins(logits, task.labels) > 0)))
        bound = error_bound(errors, len(task.labels), 8 * len(data), task.delta)
        return Found(code, data, errors, bound, number, self._ground.effort.rounds)


def _thinned(trained: Ground, space: Space, price: float) -> Float64Array:
    """The trained network thinned, at the moment when it would certify most; no more is left than may be moved."""
    task, effort = trained.task, trained.effort
    best, least = space.trained, np.inf
    own = np.where(np.isinf(trained.temperature), -1, task.labels)
    wanted = own if task.targets == "outputs" else task.labels
    thinning = Thinning(space, task.outputs, trained.logits, wanted, trained.generator)
    for thin in thinning.run(effort.batches, price):
        left = np.count_nonzero(thin.parameters)
        if left > effort.entries and np.isinf(least):
            best = thin.largest(space.tensor, effort.entries)
        if not 0 < left <= effort.entries:
            continue
        levels = np.rint(thin.parameters / thin.steps[space.tensor]).clip(-LARGEST, LARGEST).astype(np.int64)
        bits = space.prices(levels).bits(levels, space.tensor)
        bound = trained.judge.estimated_bound(space.filled(thin.parameters), bits, least)
        if bound < least:
            best, least = thin.parameters, bound
    return best
