"""How many bits each layer gets: single steps down, the one first that does least damage per bit that it saves."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np

from onnxbound.compressors.calibrated import Calibration
from onnxbound.compressors.sites import Site
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.stability.weight_noise import sensitivities

Plan = Mapping[int, int]
"""Layer index to the bits of a level; 16 for numbers of 16 bits."""

Step = tuple[int, int]
"""A layer, and the bits that its levels get."""

_TAKEN_BACK = (2, 4)
"""Plans before the last take back one step down in so many."""

_NOISE_ROWS, _NOISE_WORK, _LEAST = 32, 2 * 10**9, 4
"""Rows that sensitivities are measured at; fewer, but not less than some, where they take more multiply-adds."""


def importance(network: Network, found: Mapping[int, Site], rows: Rows, seed: int) -> dict[int, float]:
    """Layer index to its median weight-noise sensitivity: how far noise of relative size 1 moves the logits.

    Args:
        network: It.
        found: Its sites.
        rows: Where that is measured.
        seed: Of the rows and of directions.
    """
    count = max(_LEAST, min(_NOISE_ROWS, _NOISE_WORK // max(1, network.multiply_adds)))
    chosen = np.sort(np.random.default_rng(seed).choice(rows.index, min(count, rows.count), replace=False))
    measured = sensitivities(network, rows.batches(len(chosen), chosen), seed=seed)
    columns = {index: measured.values[:, index - 1] for index in found}
    known = {index: values[np.isfinite(values)] for index, values in columns.items()}
    return {index: float(np.median(values)) if values.size else 0.0 for index, values in known.items()}


def steps_down(
    found: Mapping[int, Site], calibration: Calibration, noise: Mapping[int, float], widths: Sequence[int]
) -> list[Step]:
    """Steps from the widest levels everywhere to the narrowest, by the damage per bit that is saved.

    The damage of a layer at a width is (importance * error)^2, the error being the relative size of the noise that
    rounding makes, measured where the layer's outputs are.

    Args:
        found: The sites of a network.
        calibration: Rounds a layer alone.
        noise: The importance of each layer.
        widths: Descending.
    """
    damage = {
        (index, width): noise[index] ** 2 * calibration.alone(index, width) for index, width in product(found, widths)
    }
    now = dict.fromkeys(found, widths[0])
    steps: list[Step] = []
    while True:
        price = {
            (index, width): (damage[index, width] - damage[index, now[index]]) / saved
            for index, site in found.items()
            for width in widths
            if (saved := (now[index] - width) * site.matrix.size) > 0
        }
        if not price:
            return steps
        index, width = min(price, key=lambda step: price[step])
        now[index] = width
        steps.append((index, width))


def narrowed(
    widest: Plan, steps: Sequence[Step], passes: Callable[[Plan], bool], most: int, *, safer: bool = True
) -> None:
    """Try plans that take more and more steps down, each from the smallest that passed; then some before the last.

    Several steps are taken at once as long as that goes well. Nothing is inferred from how other plans do: a step that
    fails alone bars its layer from further ones, and those of other layers are tried all the same.

    Args:
        widest: It has passed.
        steps: In the order in which they are tried.
        passes: Tries a plan.
        most: Trials, at most, beside those before the last.
        safer: Whether those are tried, for test rows that may not bear the last.
    """
    known: dict[tuple[int, ...], bool] = {tuple(widest.values()): True}
    taken: list[Step] = []
    left, count = list(steps), len(steps)

    def tried(chosen: Sequence[Step]) -> bool:
        plan = dict(widest) | dict(chosen)
        key = tuple(plan.values())
        if key not in known:
            known[key] = passes(plan)
        return known[key]

    while left and len(known) <= most:
        if tried(taken + left[:count]):
            taken, left, count = taken + left[:count], left[count:], 2 * count
        elif count > 1:
            count = max(1, min(count, len(left)) // 2)
        else:
            left = [step for step in left if step[0] != left[0][0]]
    for share in _TAKEN_BACK if safer else ():
        tried(taken[: len(taken) - len(taken) // share])
