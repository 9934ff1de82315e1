"""The search for the code with the best bound, in two ways: of a small network both are tried, and the better goes on.

No label is learnt unless it is asked for: the only targets are the network's own decisions and outputs. `thinning`
drives most weights to zero by gradient steps and ends on a lattice. Its first runs are short, and find out how coarse
the lattice may be. Whole runs are long: at the same price, more batches find a code of fewer bits.
The price of a bit goes up from one to the next as long as that gives better bounds, then down, in steps that become
smaller. The best of them is settled to second order by `settling`, in rounds. `rounding` moves all parameters of a
small network onto a lattice to second order, in rounds. The errors of what is found on the way are counted on rows
that are set aside for that.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

import numpy as np

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.decisions import Progress
from onnxbound.certificates.judge import Judge, errors_of
from onnxbound.certificates.loss import Loss
from onnxbound.certificates.rounding import Rounding
from onnxbound.certificates.settling import Settling
from onnxbound.certificates.space import LevelVector, Point, Space
from onnxbound.certificates.task import Effort, Found, Task
from onnxbound.certificates.thinning import Thinning
from onnxbound.codec.network_code import encode
from onnxbound.results import Float64Array

_PRICE, _PRICE_OF_ERRORS = 4.5, 5.0
"""Cross-entropy of all rows together per bit, and how that rises with the trained network's error.

The nearer the bound is to chance, the fewer bits an error costs.
"""

_SHORT, _SHORT_SHARE, _SHORT_PRICE = 180, 0.25, 2.0
"""Batches of the first runs, their share of a whole one at most, and their price over its: it thins faster."""

_COARSE = (1.2, 0.6, 0.3)
"""Lattices that the first runs try, until one is no better; over the root mean square of what is not 0.

Where there are many rows for each weight, a fine one is worth its bits.
"""

_RISE, _SHRINK = 1.6, 0.75
"""By what the price changes, and the power of that which is left after a change for the worse."""

_BATCHES, _SHARE = (256, 128, 64), 0.75
"""Rows of a batch: the first that leaves this share of the batches that a run may have, or else the last."""

_UPDATE = 1000
"""Multiply-adds that take as long as a batch's change of a parameter."""

_JUDGED = 20_000, 0.03
"""Rows that judge what a run passes: at most, and over the rows of a run."""

_FEWEST_JUDGED = 1000

_SETTLED, _SETTLED_JUDGED = 0.02, 0.05
"""The rows that a round of settling linearises, and those that judge its candidates, over the rows of a run."""

_ROUND, _SETTLED_ROUND = 0.5, 0.1
"""What a round takes, over a whole run, about: for progress only."""


def search(
    task: Task, effort: Effort, generator: np.random.Generator, progress: Progress = lambda *_: None
) -> Iterator[Found]:
    """What every run and every round finds, in their order; the best is that of the smallest bound.

    Args:
        task: What to look for.
        effort: How much work it may do.
        generator: Of the rows that are drawn.
        progress: Told "search", the batches that are done, and how many there are at most.
    """
    ground = _Ground(task, effort, generator, progress)
    yield from ground.short_runs()
    runs, rounds = ground.runs(), ground.rounds()
    if effort.rounds_of(task.parameters):
        yield (thinned := next(runs))
        yield (rounded := next(rounds))
        thins = thinned.bound <= rounded.bound
        ground.goes_on(thins=thins)
        if not thins:
            yield from rounds
            return
    yield from runs
    yield from ground.settled()


def turns(task: Task, effort: Effort) -> int:
    """How many runs and rounds there are, at most."""
    return len(_COARSE) + bool(effort.rounds_of(task.parameters)) + effort.runs + effort.settled


class _Ground:
    """What both ways stand on.

    Attributes:
        space: Of the trained network.
        ahead: Runs and rounds that are still to come, at most.
    """

    def __init__(self, task: Task, effort: Effort, generator: np.random.Generator, progress: Progress) -> None:
        self._task, self._effort, self._generator, self._made = task, effort, generator, 0
        self.space = Space(task.network, task.described, task.prior, task.preprocessing)
        self.ahead = turns(task, effort)
        loss = Loss(self.space, task.outputs, task.logits, task.wanted)
        rows = effort.work // loss.work
        batch = next((b for b in _BATCHES if rows // b >= _SHARE * effort.batches), _BATCHES[-1])
        self._thinning = Thinning(self.space, loss, batch, generator, self._worked)
        self._judge = self._judge_of(min(_JUDGED[0], int(_JUDGED[1] * rows)))
        judge = self._judge_of(int(_SETTLED_JUDGED * rows))
        self._settling = Settling(self.space, loss, judge, 1 + int(_SETTLED * rows), generator)
        self._short = min(_SHORT, int(_SHORT_SHARE * effort.batches))
        per_batch = batch * loss.work + _UPDATE * task.parameters
        self._whole = min(effort.batches, max(effort.work // per_batch, _SHORT))
        self._progress, self._batches = progress, 0
        self._left = len(_COARSE) * self._short + effort.runs * self._whole + effort.settled * self._settled_round
        if effort.rounds_of(task.parameters):
            self._left += self._round
        self._worked(0)
        self._price = _PRICE + _PRICE_OF_ERRORS * float(np.mean(~task.right))
        self._coarse = _COARSE[0]
        self._best: tuple[Decimal, Point] | None = None

    def _judge_of(self, rows: int) -> Judge:
        """By so many rows, drawn once."""
        task, count = self._task, len(self._task.labels)
        places = np.sort(self._generator.choice(count, min(max(rows, _FEWEST_JUDGED), count), replace=False))
        return Judge.of(task.outputs, task.labels, float(task.delta), task.logits, places)

    def short_runs(self) -> Iterator[Found]:
        """The best of each; they find how coarse the lattice may be."""
        least = Decimal(1)
        for finer in _COARSE:
            found = self._best_of(self._thinning.run(self._short, _SHORT_PRICE * self._price, finer), self._price)
            yield found
            if found.bound >= least:
                break
            least, self._coarse = found.bound, finer
        spared = len(_COARSE) - self._made
        self.ahead -= spared
        self._left -= spared * self._short

    def runs(self) -> Iterator[Found]:
        """The best of each whole run."""
        least, tried, rise = Decimal(1), self._price, _RISE
        for _ in range(self._effort.runs):
            found = self._best_of(self._thinning.run(self._whole, tried, self._coarse), tried)
            yield found
            if found.bound < least:
                least, self._price = found.bound, tried
            else:
                rise **= -_SHRINK
            tried = rise * self._price

    def rounds(self) -> Iterator[Found]:
        """The network after each round."""
        task = self._task
        rounding = Rounding(
            self.space, task.outputs, task.logits, task.labels, self._judge, self._effort.rows, self._generator
        )
        for point in islice(rounding.rounds(), self._effort.rounds):
            self._worked(self._round)
            yield self._found(point)

    def goes_on(self, *, thins: bool) -> None:
        """One of both ways alone, after the first run and the first round."""
        effort = self._effort
        if thins:
            self.ahead = effort.runs - 1 + effort.settled
            self._left = (effort.runs - 1) * self._whole + effort.settled * self._settled_round
        else:
            self.ahead = effort.rounds - 1
            self._left = self.ahead * self._round

    def settled(self) -> Iterator[Found]:
        """The best network after each round, until one finds nothing better."""
        assert self._best is not None
        _, at = self._best
        for left in reversed(range(self._effort.settled)):
            before, at = at, self._settling.round(at)
            if at is before:
                self._worked((left + 1) * self._settled_round)
                return
            self._worked(self._settled_round)
            yield self._found(at)

    @property
    def _round(self) -> int:
        return int(_ROUND * self._whole)

    @property
    def _settled_round(self) -> int:
        return int(_SETTLED_ROUND * self._whole)

    def _worked(self, batches: int) -> None:
        self._batches, self._left = self._batches + batches, self._left - batches
        self._progress("search", self._batches, self._batches + self._left)

    def _best_of(self, passed: Iterator[tuple[LevelVector, Float64Array]], price: float) -> Found:
        """Of the networks that a run passes."""
        best: Point | None = None
        least = np.inf
        for levels, steps in passed:
            estimate = self._judge.worth(self.space, levels, steps, least)
            if best is None or estimate < least:
                best, least = Point(levels, steps, price), estimate
        assert best is not None
        return self._found(best)

    def _found(self, at: Point) -> Found:
        """The code of a network, its errors counted on all rows."""
        task, code = self._task, self.space.code(at.levels, at.steps)
        data = encode(code)
        self._made, self.ahead = self._made + 1, self.ahead - 1
        errors = errors_of(task.outputs.logits(code.tensors(task.prior)), task.labels)
        bound = error_bound(errors, len(task.labels), 8 * len(data), task.delta)
        if self._best is None or bound < self._best[0]:
            self._best = bound, at
        return Found(code, data, errors, bound, self._made, self._made + self.ahead)
