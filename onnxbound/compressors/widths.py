"""How many bits each layer gets: a ladder of plans, each a little smaller than the one before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from onnxbound.compressors.calibrated import Calibration
from onnxbound.compressors.sites import Site
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.stability.weight_noise import sensitivities

Plan = Mapping[int, int]
"""Layer index to the bits of a level; 16 for numbers of 16 bits."""

_NOISE_ROWS = 32


@dataclass(frozen=True, slots=True)
class _Step:
    """One layer made narrower, what that costs, and the bits that it saves."""

    index: int
    width: int
    damage: float
    saved: float


def ladder(
    network: Network, found: Mapping[int, Site], calibration: Calibration, rows: Rows, widths: Sequence[int], seed: int
) -> list[Plan]:
    """Plans from the widest levels everywhere to the narrowest, by the damage per bit that is saved.

    The damage of a layer at a width is (sensitivity * error)^2: the median weight-noise sensitivity of the layer, which
    says how far noise of relative size 1 in its weights moves the logits, and the relative size of the noise that
    rounding makes, measured where the layer's outputs are.

    Args:
        network: It.
        found: Its sites.
        calibration: Rounds a layer alone.
        rows: Where sensitivities are measured.
        widths: Descending.
        seed: Of the rows and of directions.
    """
    chosen = np.sort(np.random.default_rng(seed).choice(rows.index, min(_NOISE_ROWS, rows.count), replace=False))
    measured = sensitivities(network, rows.batches(len(chosen), chosen), seed=seed)
    noise = {index: float(np.nanmedian(measured.values[:, index - 1])) for index in found}
    damage = {
        (index, width): noise[index] ** 2 * calibration.alone(index, width) for index, width in product(found, widths)
    }
    plan = dict.fromkeys(found, widths[0])
    plans: list[Plan] = [dict(plan)]
    while True:
        steps = [
            _Step(index, width, damage[index, width] - damage[index, plan[index]], saved)
            for index, site in found.items()
            for width in widths
            if (saved := (plan[index] - width) * site.matrix.size) > 0
        ]
        if not steps:
            return plans
        best = min(steps, key=lambda step: step.damage / step.saved)
        plan[best.index] = best.width
        plans.append(dict(plan))
