"""The fastest file whose accuracy falls by at most so much, by measurement on this machine.

Candidates are the original; it without units, a share of its weights at a time, as long as accuracy bears that; and the
fastest of these with integers of 8 bits between its layers, each layer left in floats where that is faster. Those that
bear the drop are put to the test, the slowest first.
"""

from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.guarantee import Changed
from onnxbound.compressors.removal import Removal
from onnxbound.compressors.rounder import ACTIVATIONS, Rounder
from onnxbound.compressors.smallest import Chosen, Trials, Tried, chosen
from onnxbound.compressors.widths import Plan

_SHARE, _CUTS = 0.2, 6
"""Share of the weights that goes at a time, and how often at most."""

_HOPELESS = 2.0
"""Integers everywhere that take so many times as long are not made faster by leaving layers out."""


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
        bears = not tried or trials.bears(changed)
        tried.append(Tried(plan, compressed, size, changed, bears and (not tried or high < 1), ratio))
        trials.progress("try", len(tried), _CUTS + 3)
        return bears

    floats: Plan = dict.fromkeys(rounder.sites, 32)
    best = rounder
    passes(floats, rounder.compressed({}))
    removal = Removal(rounder, rounder.importance(), trials.folder)
    for share in (0.0, *(_SHARE for _ in range(_CUTS))):
        narrower = removal.narrower(share)
        if narrower is None:
            continue
        if not passes(floats, narrower.compressed({})):
            break
        if tried[-1].ratio == min(each.ratio for each in tried if each.ratio is not None and each.passed):
            best = narrower
    plan = _faster_as_integers(best, trials)
    if plan:
        passes({**floats, **plan}, best.with_activations(plan))
    order = sorted((each for each in tried if each.passed), key=lambda each: -(each.ratio or 0.0))
    return chosen(order, (), tried, trials)


def _faster_as_integers(rounder: Rounder, trials: Trials) -> Plan:
    """The layers that are faster as integers, what rounding between them takes included; none where that gains nothing.

    From all of them on, each is left out for good if the net is faster without it.
    """
    plan = dict.fromkeys(rounder.sites, ACTIVATIONS)
    now = trials.timed(rounder.with_activations(plan))[0]
    floats = trials.timed(rounder.compressed({}))[0]
    for index in rounder.sites if now < _HOPELESS * floats else ():
        fewer = {other: width for other, width in plan.items() if other != index}
        ratio = trials.timed(rounder.with_activations(fewer))[0] if fewer else floats
        if ratio < now:
            plan, now = fewer, ratio
    return plan if now < floats else {}
