"""Rank correlation of a bound with what it is meant to predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import atanh, sqrt, tanh

_NORMAL_975 = 1.959963984540054
_LEAST = 5
"""Pairs of values from which on the interval is defined; it is narrow enough to say anything from about ten on."""


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Kendall's tau-b.

    Attributes:
        tau: -1 to 1; None where one of the two is constant, or there is no pair.
        low: Of an approximate 95 % interval; None for fewer than 5 values.
        high: Its other end.
        values: How many there were.
    """

    tau: float | None
    low: float | None
    high: float | None
    values: int


def kendall(x: Sequence[float], y: Sequence[float]) -> RankCorrelation:
    """tau-b = (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y).

    The interval is that of Fieller, Hartley and Pearson 1957: atanh(tau) has variance 0.437 / (n - 4), for independent
    pairs of values.

    >>> round(kendall([1, 2, 3, 4], [10, 20, 40, 30]).tau, 4)
    0.6667
    """
    pairs = list(combinations(zip(x, y, strict=True), 2))
    signs = [(_sign(b[0] - a[0]), _sign(b[1] - a[1])) for a, b in pairs]
    untied = sqrt(sum(i != 0 for i, _ in signs)) * sqrt(sum(j != 0 for _, j in signs))
    if untied == 0:
        return RankCorrelation(None, None, None, len(x))
    tau = max(-1.0, min(1.0, sum(i * j for i, j in signs) / untied))
    if len(x) < _LEAST:
        return RankCorrelation(tau, None, None, len(x))
    half = _NORMAL_975 * sqrt(0.437 / (len(x) - 4))
    centre = atanh(max(-1 + 1e-12, min(1 - 1e-12, tau)))
    return RankCorrelation(tau, tanh(centre - half), tanh(centre + half), len(x))


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
