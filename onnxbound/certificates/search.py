"""The search for the code with the best bound, in two ways: of a small network both are tried, and the better goes on.

No label is learnt unless it is asked for: the only targets are the network's own decisions and outputs. `thinning`
drives most weights to zero by gradient steps and ends on a lattice. Its first runs are short, and find out how coarse
the lattice may be. The price of a bit in the later ones goes up as long as that gives better bounds, then down, in
steps that become smaller. `rounding` moves all parameters onto a lattice to second order, in rounds. The errors of what
is found on the way are counted on rows that are set aside for that.
"""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.judge import Judge, errors_of
from onnxbound.certificates.rounding import Rounding
from onnxbound.certificates.space import LevelVector, Space
from onnxbound.certificates.task import Effort, Found, Task
from onnxbound.certificates.thinning import Thinning
from onnxbound.codec.network_code import NetworkCode, encode
from onnxbound.results import Float64Array

_PRICE, _PRICE_OF_ERRORS = 4.5, 5.0
"""Cross-entropy of all rows together per bit, and how that rises with the trained network's error.

The nearer the bound is to chance, the fewer bits an error costs.
"""

_QUICK, _QUICK_PRICE = 5, 2.0
"""The first runs take so many times fewer batches, at a price that thins faster."""

_COARSE = (1.2, 0.6, 0.3)
"""Lattices that the first runs try, until one is no better; over the root mean square of what is not 0.

Where there are many rows for each weight, a fine one is worth its bits.
"""

_RISE, _SHRINK = 1.6, 0.75
"""By what the price changes, and the power of that which is left after a change for the worse."""

_JUDGED = 10_000


def search(task: Task, effort: Effort, generator: np.random.Generator) -> Iterator[Found]:
    """What every run and every round finds, in their order; the best is that of the smallest bound."""
    ground = _Ground(task, effort, generator)
    ways, untried = [ground.thinned()], []
    if ground.space.trained.size <= effort.parameters:
        ways, untried = [*ways, ground.rounded()], [1]
    best = [Decimal(1)] * len(ways)
    for _ in range(effort.rounds):
        way = best.index(min(best))
        if not ground.whole_runs:
            way = 0
        elif untried:
            way = untried.pop()
        found = next(ways[way])
        best[way] = min(best[way], found.bound)
        yield found


class _Ground:
    """What both ways stand on.

    Attributes:
        space: Of the trained network.
        whole_runs: Of thinning, so far; the short ones do not count.
    """

    def __init__(self, task: Task, effort: Effort, generator: np.random.Generator) -> None:
        self._task, self._effort, self._generator, self._made = task, effort, generator, 0
        self.whole_runs = 0
        self.space = Space(task.network, task.described, task.prior, task.preprocessing)
        self._logits, count = task.outputs.logits(task.described.tensors), len(task.labels)
        places = np.sort(generator.choice(count, min(_JUDGED, count), replace=False))
        self._judge = Judge.of(task.outputs, task.labels, float(task.delta), self._logits, places)

    def thinned(self) -> Iterator[Found]:
        """The best of each run, without end."""
        task, batches = self._task, self._effort.batches
        wanted = np.where(task.right, task.labels, -1) if task.targets == "outputs" else task.labels
        thinning = Thinning(self.space, task.outputs, self._logits, wanted, self._generator)
        price, coarse = _PRICE + _PRICE_OF_ERRORS * float(np.mean(~task.right)), _COARSE[0]
        least = Decimal(1)
        for finer in _COARSE:
            found = self._best_of(thinning.run(batches // _QUICK, _QUICK_PRICE * price, finer))
            yield found
            if found.bound >= least:
                break
            least, coarse = found.bound, finer
        least, tried, rise = Decimal(1), price, _RISE
        while True:
            found = self._best_of(thinning.run(batches, tried, coarse))
            self.whole_runs += 1
            yield found
            if found.bound < least:
                least, price = found.bound, tried
            else:
                rise **= -_SHRINK
            tried = rise * price

    def rounded(self) -> Iterator[Found]:
        """The network after each round, without end."""
        task = self._task
        rounding = Rounding(
            self.space, task.outputs, self._logits, task.labels, self._judge, self._effort.rows, self._generator
        )
        for point in rounding.rounds():
            yield self._found(self.space.code(point.levels, point.steps))

    def _best_of(self, passed: Iterator[tuple[LevelVector, Float64Array]]) -> Found:
        """Of the networks that a run passes."""
        best: NetworkCode | None = None
        least = np.inf
        for levels, steps in passed:
            estimate = self._judge.worth(self.space, levels, steps, least)
            if best is None or estimate < least:
                best, least = self.space.code(levels, steps), estimate
        assert best is not None
        return self._found(best)

    def _found(self, code: NetworkCode) -> Found:
        """A code, its errors counted on all rows."""
        task, data = self._task, encode(code)
        self._made += 1
        errors = errors_of(task.outputs.logits(code.tensors(task.prior)), task.labels)
        bound = error_bound(errors, len(task.labels), 8 * len(data), task.delta)
        return Found(code, data, errors, bound, self._made, self._effort.rounds)
