"""The smallest file whose accuracy falls by at most so much, guaranteed by rows that neither net has seen.

Plans are rounded at some of the training rows and chosen by others of them; one that fails is fine-tuned, and seen
again. Units that are dead go at once; others only where all layers bear the narrowest numbers. Then a few plans are put
to the test, the largest first. Where even rows none of which changes guarantee nothing, the plan that was chosen is the
only one to be tested.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.grid import Half
from onnxbound.compressors.guarantee import Changed, foreseen, may_pass, put_to_the_test
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.compressors.removal import Removal
from onnxbound.compressors.rounder import Rounder
from onnxbound.compressors.widths import Plan, narrowed, steps_down
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.stability.collect import Progress

_IN_FILES, _IN_CODES = (8, 4), (8, 6, 5, 4, 3, 2)
"""Bits of a level that are tried; in codes all of them differ in size."""

_TRIALS, _TRIALS_OF_CODES, _TESTS = 6, 12, 8
"""Plans that are tried on the way down, for files and for codes; those that are put to the test behind the first."""

_BOLD = 3
"""Smaller plans whose test may fail, behind those that should pass: a failure costs nothing of what passed before."""

_CALIBRATED, _CHOSEN = 2000, 5000
"""Rows that layers are rounded at, and that plans are chosen by, at most."""

_WORK, _LEAST = 10**11, 300
"""Multiply-adds that one pass of all rows may take, and rows that are used whatever they take."""

_HOPELESS, _ENOUGH_HOPE = 4.0, 0.02
"""Plans that lose so many times what they may, and more than such a share of the rows, are not fine-tuned."""

_SHARE, _CUTS = 0.12, 16
"""Share of the weights that goes at a time where all layers bear the narrowest numbers, and how often at most."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A plan that was tried.

    Attributes:
        widths: Layer name to bits of a number.
        fine_tuned: Whether levels and biases were moved by the decisions of the whole net.
        weights: Those that are left, of all these layers.
        bytes: Of its file.
        ratio: Its time over the original's, where that was measured.
        chosen_by: What it changes on training rows set apart.
        tested_by: What it changes on the test rows; null where it was not put to the test.
    """

    widths: Mapping[str, int]
    fine_tuned: bool
    weights: int
    bytes: int
    ratio: float | None
    chosen_by: Changed
    tested_by: Changed | None


@dataclass(frozen=True)
class Trials:
    """Runs compressed nets that are written only to be tried.

    Attributes:
        chosen: Runs one on the training rows set apart, and gives its bytes too.
        tested: Runs one on the test rows.
        timed: Its time over the original's, with two limits.
        fine_tuned: A rounder's net under a plan, fine-tuned; None where that cannot be done.
        test_rows: How many; 0 without them.
        max_drop: Share of the rows by which accuracy may fall.
        delta: Probability with which a guarantee may fail.
        folder: For networks that are made on the way.
        progress: Called with (stage, done, in all).
    """

    chosen: Callable[[CompressedNetwork], tuple[PairedLogits, int]]
    tested: Callable[[CompressedNetwork], Changed]
    timed: Callable[[CompressedNetwork], tuple[float, float, float]]
    fine_tuned: Callable[[Rounder, Plan], CompressedNetwork | None]
    test_rows: int
    max_drop: float
    delta: float
    folder: Path
    progress: Progress

    def limit(self, changed: Changed) -> float:
        """What the test rows would say of the drop if they changed as often as those set apart."""
        return foreseen(changed, self.test_rows, self.max_drop, self.delta)


@dataclass(frozen=True)
class Chosen:
    """What a search came to.

    Attributes:
        compressed: The network that was chosen.
        tried: Every plan.
        apart: What it changes on training rows set apart.
        tests: Of the test rows, in their order.
    """

    compressed: CompressedNetwork
    tried: tuple[Attempt, ...]
    apart: Changed
    tests: tuple[Changed, ...]


def affordable(rows: Rows, network: Network, seed: int, work: int | None = None) -> Rows:
    """All rows, or a sample that passes a large network some thirty times within a minute or so, by no clock."""
    return rows.sample(max(_LEAST, (work or _WORK) // max(1, network.multiply_adds)), seed)


def split(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Rows to round at, and other rows to choose by."""
    order = np.random.default_rng(seed).permutation(rows.count)
    cut = min(_CALIBRATED, (rows.count + 1) // 2)
    parts = (np.sort(order[:cut]), np.sort(order[cut : cut + _CHOSEN]))
    first, second = (replace(rows, index=rows.index[part], labels=rows.labels[part]) for part in parts)
    return first, second if second.count else first


@dataclass(frozen=True, eq=False)
class Tried:
    """A plan, its network and its size, what it changes, and whether test rows would bear it.

    Attributes:
        plan: Layer index to bits of a number.
        compressed: The network.
        size: Bytes of its file.
        changed: On training rows set apart.
        limit: What test rows would say if they changed as often.
        passed: Whether test rows would bear it.
        ratio: Its time over the original's, where that was measured.
    """

    plan: Plan
    compressed: CompressedNetwork
    size: int
    changed: Changed
    limit: float
    passed: bool
    ratio: float | None = None

    @property
    def bits(self) -> int:
        """Of the levels of all layers."""
        layers = self.compressed.network.layers
        return sum(width * layers[index - 1].parameters for index, width in self.plan.items())

    def reported(self, tested_by: Changed | None) -> Attempt:
        """As the report says it."""
        layers = [self.compressed.network.layers[index - 1] for index in self.plan]
        widths = {layer.name: self.plan[layer.index] for layer in layers}
        found = (self.compressed.of(layer) for layer in layers)
        weights = sum(each.parameters if each.method == "svd" else each.weight.size for each in found)
        tuned = self.compressed.fine_tuned
        return Attempt(widths, tuned, weights, self.size, self.ratio, self.changed, tested_by)


def smallest(rounder: Rounder, trials: Trials, *, codes: bool = False) -> Chosen:
    """The smallest that passes.

    Args:
        rounder: Has the network.
        trials: Run what is tried.
        codes: Whether codes are to be small, and not the file.
    """
    widths = _IN_CODES if codes else _IN_FILES
    widest, narrowest, half = (dict.fromkeys(rounder.sites, width) for width in (widths[0], widths[-1], Half.width))
    tried: list[Tried] = []

    def looked_at(plan: Plan, compressed: CompressedNetwork) -> Tried:
        found, size = trials.chosen(compressed)
        changed = Changed.of(found)
        limit = trials.limit(changed)
        tried.append(Tried(plan, compressed, size, changed, limit, limit <= trials.max_drop))
        trials.progress("try", len(tried), _TRIALS + 4)
        return tried[-1]

    def passes(candidate: Rounder, plan: Plan) -> bool:
        plain = looked_at(plan, candidate.compressed(plan))
        is_smallest = not any(each.passed and each.bits <= plain.bits for each in tried)
        if plan == half or not is_smallest or plain.changed.drop > max(_HOPELESS * trials.max_drop, _ENOUGH_HOPE):
            return plain.passed
        tuned = trials.fine_tuned(candidate, plan)
        return tuned is not None and looked_at(plan, tuned).passed

    noise = rounder.importance()
    removal = Removal(rounder, noise, trials.folder)
    first = removal.narrower(0) or rounder
    if not passes(first, half) and first is not rounder:
        # What is dead at a few rows may be alive at others.
        first, removal = rounder, Removal(rounder, noise, trials.folder)
        passes(first, half)
    if passes(first, widest):
        steps = steps_down(first.sites, first.calibration, noise, widths)
        most = _TRIALS_OF_CODES if codes else _TRIALS
        narrowed(widest, steps, lambda plan: passes(first, plan), most, safer=trials.test_rows > 0)
    bears_all = any(each.passed and each.plan == narrowest for each in tried)
    for _ in range(_CUTS if bears_all and not codes else 0):
        narrower = removal.narrower(_SHARE)
        if narrower is None or not passes(narrower, narrowest):
            break
    safest = min(tried, key=lambda each: (each.limit, -each.bits))
    order = _front([each for each in tried if each.passed] or [safest])
    least = order[-1].bits
    bold = [each for each in tried if each.changed.drop <= trials.max_drop and each.bits < least]
    return chosen(order, sorted(bold, key=lambda each: -each.bits)[:_BOLD], tried, trials)


def _front(passed: Sequence[Tried]) -> list[Tried]:
    """Those than which no smaller one is safer, the largest first, behind the first of all that passed."""
    found: list[Tried] = []
    for each in sorted(passed, key=lambda each: each.bits):
        if not found or each.limit <= found[-1].limit:
            found.append(each)
    if passed[0] not in found:
        found.append(passed[0])
    return found[::-1]


def chosen(order: Sequence[Tried], bold: Sequence[Tried], tried: Sequence[Tried], trials: Trials) -> Chosen:
    """What the test rows leave of some plans; without any that can decide, the last.

    Args:
        order: Those that should pass, the safest first.
        bold: Those that may pass, behind them.
        tried: All, for the report.
        trials: Run them.
    """
    best = order[-1]
    tests: list[Changed] = []
    if may_pass(trials.test_rows, trials.max_drop, trials.delta):
        spread = np.unique(np.linspace(1, len(order) - 1, _TESTS).astype(np.int64)) if order[1:] else ()
        order = [order[0], *(order[place] for place in spread), *bold]
        best, tests = put_to_the_test(order, lambda each: trials.tested(each.compressed), trials.max_drop)
    seen = {id(each): found for each, found in zip(order, tests, strict=False)}
    return Chosen(
        best.compressed, tuple(each.reported(seen.get(id(each))) for each in tried), best.changed, tuple(tests)
    )
