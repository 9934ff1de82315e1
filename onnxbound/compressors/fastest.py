"""The fastest file whose accuracy falls by at most so much, by measurement on this machine.

Candidates are the original; it without units, a share of its weights at a time, as long as accuracy bears that; the
fastest of these with layers of low rank, each written as two; in floats of 16 bits; and with integers of 8 bits between
its layers. A layer stays one, or stays in floats, where that is faster. Those that bear the drop are put to the test,
the slowest first.
"""

from collections.abc import Callable
from contextlib import suppress

from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.grid import Half
from onnxbound.compressors.guarantee import Changed
from onnxbound.compressors.low_rank import low_rank, ranks_of
from onnxbound.compressors.removal import Removal
from onnxbound.compressors.rounder import ACTIVATIONS, Rounder
from onnxbound.compressors.smallest import Chosen, Trials, Tried, chosen
from onnxbound.compressors.widths import Plan
from onnxbound.errors import DeviceError, ModelError

_SHARE, _CUTS = 0.2, 6
"""Share of the weights that goes at a time, and how often at most."""

_MULTIPLY_ADDS = (0.75, 0.5, 0.3)
"""Shares of the multiply-adds that low ranks leave, one after the other."""

_HOPELESS = 2.0
"""Layers that are changed everywhere, and take so many times as long, are not made faster by leaving some out."""


def fastest(rounder: Rounder, trials: Trials) -> Chosen:
    """The fastest that passes.

    Args:
        rounder: Has the network.
        trials: Run what is tried.
    """
    tried: list[Tried] = []

    def passes(plan: Plan, compressed: CompressedNetwork) -> bool:
        found, size = trials.chosen(compressed)
        changed = Changed.of(found)
        ratio, _, high = (1.0, 1.0, 1.0) if not tried else trials.timed(compressed)
        limit = trials.limit(changed)
        bears = not tried or limit <= trials.max_drop
        tried.append(Tried(plan, compressed, size, changed, limit, bears and (not tried or high < 1), ratio))
        trials.progress("try", len(tried), _CUTS + len(_MULTIPLY_ADDS) + 4)
        return bears

    floats: Plan = dict.fromkeys(rounder.sites, 32)
    best, importance = rounder, rounder.importance()
    passes(floats, rounder.compressed({}))
    removal = Removal(rounder, importance, trials.folder)
    for share in (0.0, *(_SHARE for _ in range(_CUTS))):
        narrower = removal.narrower(share)
        if narrower is None:
            continue
        if not passes(floats, narrower.compressed({})):
            break
        if tried[-1].ratio == min(each.ratio for each in tried if each.ratio is not None and each.passed):
            best = narrower
    ranks: Plan = {}
    for share in _MULTIPLY_ADDS:
        lower = ranks_of(best, importance, share)
        if lower == ranks or not passes(floats, low_rank(best, lower)):
            break
        ranks = lower
    fewer = _fewest(best, trials, ranks, low_rank)
    if fewer and fewer != ranks:
        passes(floats, low_rank(best, fewer))
    half = best.halved()
    if half is not None:
        with suppress(DeviceError, ModelError):  # onnxruntime has not every operator in 16 bits, nor is every net exact
            passes(dict.fromkeys(best.sites, Half.width), half)
    plan = _fewest(best, trials, dict.fromkeys(best.sites, ACTIVATIONS), Rounder.with_activations)
    if plan:
        passes({**floats, **plan}, best.with_activations(plan))
    order = sorted((each for each in tried if each.passed), key=lambda each: -(each.ratio or 0.0))
    return chosen(order, (), tried, trials)


def _fewest(rounder: Rounder, trials: Trials, plan: Plan, made: Callable[[Rounder, Plan], CompressedNetwork]) -> Plan:
    """The layers of a plan that are faster under it, with what it costs between them; none where that gains nothing.

    From all of them on, each is left out for good if the net is faster without it.
    """
    if not plan:
        return plan
    now = trials.timed(made(rounder, plan))[0]
    floats = trials.timed(rounder.compressed({}))[0]
    for index in list(plan) if now < _HOPELESS * floats else ():
        fewer = {other: width for other, width in plan.items() if other != index}
        ratio = trials.timed(made(rounder, fewer))[0] if fewer else floats
        if ratio < now:
            plan, now = fewer, ratio
    return plan if now < floats else {}
