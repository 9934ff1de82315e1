"""The smallest file whose accuracy falls by at most so much, guaranteed by rows that neither net has seen.

Plans are rounded at some of the training rows and chosen by others of them. Then a few of them are put to the test, the
largest first. Where even rows none of which changes guarantee nothing, the plan that was chosen is the only one to be
tested.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxbound.compressors.calibrated import Calibration, Rounded
from onnxbound.compressors.compressed import CompressedLayer, CompressedNetwork, MethodName, described, kept
from onnxbound.compressors.grid import Half
from onnxbound.compressors.guarantee import Changed, foreseen, may_pass, put_to_the_test
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.compressors.sites import Site, sites
from onnxbound.compressors.widths import Plan, narrowed, steps_down
from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem
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

_UNWRITABLE = "its weight cannot be rewritten: it is no initializer of floats that one kind of node reads"


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


@dataclass(frozen=True)
class Trials:
    """Runs compressed nets that are written only to be tried.

    Attributes:
        chosen: Runs one on the training rows set apart, and gives its bytes too.
        tested: Runs one on the test rows.
        test_rows: How many; 0 without them.
    """

    chosen: Callable[[CompressedNetwork], tuple[PairedLogits, int]]
    tested: Callable[[CompressedNetwork], Changed]
    test_rows: int


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
    ) -> Chosen:
        """The smallest that passes.

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
        best = order[-1]
        tests: list[Changed] = []
        if may_pass(trials.test_rows, max_drop, delta):
            least = self._bits(best.plan)
            bold = [each for each in tried if each.changed.drop <= max_drop and self._bits(each.plan) < least]
            bold = sorted(bold, key=lambda each: -self._bits(each.plan))[:1]
            order = [*order[:1], *order[1:][-_TESTS:], *bold]
            best, tests = put_to_the_test(order, lambda each: trials.tested(each.compressed), max_drop)
        seen = {id(each): found for each, found in zip(order, tests, strict=False)}
        attempts = tuple(Attempt(self._named(e.plan), e.size, e.changed, seen.get(id(e))) for e in tried)
        return Chosen(best.compressed, attempts, best.changed, tuple(tests))

    def _bits(self, plan: Plan) -> int:
        return sum(width * self._sites[index].matrix.size for index, width in plan.items())

    def _named(self, plan: Plan) -> Mapping[str, int]:
        return {self._sites[index].layer.name: width for index, width in plan.items()}


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
