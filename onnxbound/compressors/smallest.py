"""The smallest file whose accuracy falls by at most so much, guaranteed by rows that neither net has seen.

Plans are rounded at some of the training rows and chosen by others of them. Then a few of them, the largest first, are
put to the test in this order on rows that nobody has seen, each at the full probability of failure, until one fails:
the last that passed is guaranteed (fixed-sequence testing: an error is made only where the first plan whose drop is too
large passes, which happens with probability delta at most). Where even rows none of which changes guarantee nothing,
the plan that was chosen is the only one to be tested.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from onnxbound.bounds.paired_drop import BETA, accuracy_drop_limit
from onnxbound.compressors.calibrated import Calibration, Rounded
from onnxbound.compressors.compressed import CompressedLayer, CompressedNetwork, MethodName, described, kept
from onnxbound.compressors.grid import Half
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.compressors.sites import Site, sites
from onnxbound.compressors.widths import Plan, narrowed, steps_down
from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.run.device import Device
from onnxbound.stability.collect import Progress

FORMATS: Mapping[int, MethodName] = {16: "fp16", 8: "int8-weights", 4: "int4-weights"}
"""Bits of a number in a file to the method that stores such numbers."""

_IN_FILES, _IN_CODES = (8, 4), (8, 6, 5, 4, 3, 2)
"""Bits of a level that are tried; in codes all of them differ in size."""

_TRIALS, _TESTS = 6, 3
"""Plans that are tried on the way down, and the smallest of those that pass that are put to the test, at most."""

_CALIBRATED, _CHOSEN = 2000, 5000
"""Rows that layers are rounded at, and that plans are chosen by, at most."""

_UNWRITABLE = "its weight cannot be rewritten: it is no float32 initializer that one kind of node reads"


@dataclass(frozen=True, slots=True)
class Changed:
    """Rows on which a compressed net decides otherwise than the original.

    Attributes:
        rows: All that were looked at.
        worse: Right before and wrong after.
        better: Wrong before and right after.
        drop: (worse - better) / rows.
        limit: The drop on new rows is at most this, with the confidence that was asked for; null where the rows were
            searched.
    """

    rows: int
    worse: int
    better: int
    drop: float
    limit: float | None

    @classmethod
    def of(cls, found: PairedLogits, delta: float | None = None) -> Self:
        """From both nets' margins; with a delta, of rows that nobody has seen."""
        before, after = found.margin_before > 0, found.margin_after > 0
        rows, worse, better = len(before), int(np.sum(before & ~after)), int(np.sum(after & ~before))
        limit = None if delta is None else accuracy_drop_limit(worse, better, rows, delta)
        return cls(rows, worse, better, (worse - better) / rows, limit)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A plan that was tried.

    Attributes:
        widths: Layer name to bits of a number.
        bytes: Of its file.
        chosen_by: What it changes on training rows set apart.
        tested_by: What it changes on the test rows; null where it was not put to the test.
    """

    widths: Mapping[str, int]
    bytes: int
    chosen_by: Changed
    tested_by: Changed | None


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What is known of the drop in accuracy on new rows.

    Attributes:
        max_drop: The largest that was asked for.
        confidence: 1 - delta.
        held: Whether test rows guarantee it; null without test rows.
        measured: On the test rows; on training rows set apart where there are none.
    """

    max_drop: float
    confidence: float
    held: bool | None
    measured: Changed

    @classmethod
    def of(cls, max_drop: float, delta: float, measured: Changed) -> Self:
        """What rows say."""
        held = None if measured.limit is None else measured.limit <= max_drop
        return cls(max_drop, 1 - delta, held, measured)


@dataclass(frozen=True)
class Trials:
    """Runs compressed nets that are written only to be tried.

    Attributes:
        chosen: Runs one on the training rows set apart, and gives its bytes too.
        tested: Runs one on the test rows; None without them.
        test_rows: How many.
    """

    chosen: Callable[[CompressedNetwork], tuple[PairedLogits, int]]
    tested: Callable[[CompressedNetwork], PairedLogits] | None
    test_rows: int


def require_unseen(rows: Rows | None, test: Rows, delta: float) -> None:
    """Refuse test rows that can guarantee nothing.

    Raises:
        UsageError: They are the training rows, or the probability of failure is too small.
    """
    if delta <= BETA:
        raise UsageError("usage", f"`delta` must be above {BETA} where test rows are to guarantee the drop.")
    if rows is not None and test.array.name == rows.array.name and test.fingerprint() == rows.fingerprint():
        problem = Problem(
            test.array.name, "rows that were searched guarantee nothing", "give rows that nobody has seen"
        )
        raise UsageError("usage", "The test rows are the training rows.", [problem])


def split(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Rows to round at, and other rows to choose by."""
    order = np.random.default_rng(seed).permutation(rows.count)
    cut = min(_CALIBRATED, (rows.count + 1) // 2)
    parts = (np.sort(order[:cut]), np.sort(order[cut : cut + _CHOSEN]))
    first, second = (replace(rows, index=rows.index[part], labels=rows.labels[part]) for part in parts)
    return first, second if second.count else first


@dataclass(frozen=True, eq=False)
class _Tried:
    """A plan, its network and its size, what it changes, and whether test rows would bear it."""

    plan: Plan
    compressed: CompressedNetwork
    size: int
    changed: Changed
    passed: bool


class Search:
    """Plans for one network, each rounded once.

    Attributes:
        network: It.
    """

    def __init__(
        self, network: Network, names: Sequence[str], rows: Rows, device: Device, threads: int | None, seed: int
    ) -> None:
        self.network, self._rows, self._seed = network, rows, seed
        self._sites = {i: site for i, site in sites(network).items() if not names or site.layer.name in names}
        if not self._sites:
            problems = [Problem(layer.step.where, _UNWRITABLE, "export it anew") for layer in network.layers]
            raise ModelError("compress-nothing", "The model has no weight that could be compressed.", problems)
        inputs = rows.batch(rows.index).inputs
        self._calibration = Calibration(network, self._sites, inputs, device, threads, seed)

    def everywhere(self, width: int) -> CompressedNetwork:
        """Every weight in one format."""
        return self.compressed(dict.fromkeys(self._sites, width))

    def compressed(self, plan: Plan) -> CompressedNetwork:
        """The network under a plan."""
        found = self._calibration.rounded(plan)
        weights: dict[str, CompressedLayer] = {}
        for layer in self.network.layers:
            site = self._sites.get(layer.index)
            if site is not None:
                weights[layer.weight_name] = _layer(site, found[layer.index])
            elif layer.weight_name not in weights:
                weights[layer.weight_name] = kept(layer, _UNWRITABLE)
        return CompressedNetwork(self.network, weights)

    def smallest(
        self, trials: Trials, max_drop: float, delta: float, progress: Progress, *, codes: bool = False
    ) -> tuple[CompressedNetwork, tuple[Attempt, ...], Changed]:
        """The smallest that passes, everything that was tried, and what it changes on training rows set apart.

        Args:
            trials: Run what is tried.
            max_drop: Share of the rows.
            delta: Probability with which a guarantee may fail.
            progress: Called with (stage, done, in all).
            codes: Whether codes are to be small, and not the file.
        """
        widths = _IN_CODES if codes else _IN_FILES
        tried: list[_Tried] = []

        def passes(plan: Plan) -> bool:
            compressed = self.compressed(plan)
            found, size = trials.chosen(compressed)
            changed = Changed.of(found)
            passed = not tried or foreseen(changed, trials.test_rows, max_drop, delta)
            tried.append(_Tried(plan, compressed, size, changed, passed))
            progress("try", len(tried), _TRIALS + 4)
            return passed

        widest = dict.fromkeys(self._sites, widths[0])
        passes(dict.fromkeys(self._sites, Half.width))
        if passes(widest):
            steps = steps_down(self.network, self._sites, self._calibration, self._rows, widths, self._seed)
            narrowed(widest, steps, passes, _TRIALS)
        order = sorted((each for each in tried if each.passed), key=lambda each: -self._bits(each.plan))
        best, seen = order[-1], {}
        if _may_pass(trials.test_rows, max_drop, delta):
            assert trials.tested is not None
            least, best = self._bits(best.plan), order[0]
            bold = [each for each in tried if each.changed.drop <= max_drop and self._bits(each.plan) < least]
            bold = sorted(bold, key=lambda each: -self._bits(each.plan))[:1]
            for each in [*order[:1], *order[1:][-_TESTS:], *bold]:
                seen[id(each)] = Changed.of(trials.tested(each.compressed), delta)
                if not Guarantee.of(max_drop, delta, seen[id(each)]).held:
                    break
                best = each
        attempts = tuple(Attempt(self._named(e.plan), e.size, e.changed, seen.get(id(e))) for e in tried)
        return best.compressed, attempts, best.changed

    def _bits(self, plan: Plan) -> int:
        return sum(width * self._sites[index].matrix.size for index, width in plan.items())

    def _named(self, plan: Plan) -> Mapping[str, int]:
        return {self._sites[index].layer.name: width for index, width in plan.items()}


def _may_pass(rows: int, max_drop: float, delta: float) -> bool:
    """Whether so many test rows can guarantee the drop at all, be it that none changes."""
    return rows > 0 and accuracy_drop_limit(0, 0, rows, delta) <= max_drop


def foreseen(changed: Changed, rows: int, max_drop: float, delta: float) -> bool:
    """Whether so many test rows would guarantee the drop if they changed as often; without them, whether it is kept."""
    if not _may_pass(rows, max_drop, delta):
        return changed.drop <= max_drop
    worse, better = (round(count * rows / changed.rows) for count in (changed.worse, changed.better))
    return accuracy_drop_limit(worse, min(better, rows - worse), rows, delta) <= max_drop


def _layer(site: Site, found: Rounded) -> CompressedLayer:
    """As every compressor describes one."""
    layer, stored = site.layer, found.grid
    scale = np.ones(len(site.matrix)) if layer.operator.scale is None else layer.operator.scale
    weight = (stored.matrix() * scale[:, None]).reshape(layer.operator.weight.shape)
    numbers, payload = site.matrix.size, stored.stored * site.matrix.size
    if not isinstance(stored, Half):
        numbers += stored.scales.size
        payload += 8 * stored.scales.nbytes
    shift = (found.offset - site.offset) * scale if site.bias is not None else None
    return described(layer, FORMATS[stored.stored], weight, numbers, payload, code=stored, shift=shift)
