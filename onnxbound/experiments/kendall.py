"""Rank correlation of a capacity with the gap that it should predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import pi, sqrt

import numpy as np

_LEAST = 5
"""Fewest pairs of values with an interval; with fewer pairs it would say next to nothing."""

_SPREAD = 1.2
_STEPS = 2000


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Kendall's tau-b.

    Attributes:
        tau: -1 to 1; None if one of the two is constant, or if there is no pair.
        low: Lower end of a 95 % interval; None for fewer than 5 values, or if they depend on one another.
        high: Its upper end.
        values: Number of values.
    """

    tau: float | None
    low: float | None
    high: float | None
    values: int


def kendall(x: Sequence[float], y: Sequence[float]) -> RankCorrelation:
    """tau-b = (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y).

    >>> round(kendall([1, 2, 3, 4], [10, 20, 40, 30]).tau, 4)
    0.6667
    """
    pairs = list(combinations(zip(x, y, strict=True), 2))
    signs = [(_sign(b[0] - a[0]), _sign(b[1] - a[1])) for a, b in pairs]
    untied_x, untied_y = (sum(side != 0 for side in sides) for sides in zip(*signs, strict=True)) if signs else (0, 0)
    if not untied_x or not untied_y:
        return RankCorrelation(None, None, None, len(x))
    # The root of a square is exact, so that 1 is 1.
    tau = sum(i * j for i, j in signs) / sqrt(untied_x * untied_y)
    low, high = interval(tau, len(x)) if len(x) >= _LEAST else (None, None)
    return RankCorrelation(tau, low, high, len(x))


def interval(tau: float, values: int) -> tuple[float, float]:
    """Compute a 95 % interval for the tau of a distribution from that of a sample of independent pairs of values.

    The interval holds every tau under which at least so many concordant pairs, and at most so many, both have a
    probability of at least 2.5 %. The number of concordant pairs counts as binomial, as in Clopper and Pearson. The
    number of trials is such that the variance is a fifth above that for normal values (Esscher 1924). In simulations
    the interval covers at least 94 %, also if extremes come together as in Student's t with three degrees of freedom
    or in Clayton's copula.

    Args:
        tau: The tau of the sample.
        values: Number of pairs of values in the sample.

    >>> [round(end, 2) for end in interval(1.0, 5)]
    [-0.04, 1.0]
    """
    from scipy.special import betainc

    ends = np.sin(np.linspace(-pi / 2, pi / 2, _STEPS + 1))
    inner = ends[1:-1]
    third = (2 / pi * np.arcsin(np.sin(pi / 2 * inner) / 2)) ** 2
    variance = 2 / (values * (values - 1)) * (1 - inner**2 + 2 * (values - 2) * (1 / 9 - third))
    pairs, share = (1 - inner**2) / (_SPREAD * variance), (1 + inner) / 2
    concordant, discordant = pairs * (1 + tau) / 2, pairs * (1 - tau) / 2
    as_many = betainc(concordant, discordant + 1, share) if tau > -1 else np.ones_like(share)
    as_few = betainc(discordant, concordant + 1, 1 - share) if tau < 1 else np.ones_like(share)
    distance = np.abs(inner - tau)
    held = np.flatnonzero(((as_many > 0.025) & (as_few > 0.025)) | (distance == distance.min()))
    return float(ends[held[0]]), float(ends[held[-1] + 2])


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
