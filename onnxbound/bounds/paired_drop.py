"""An exact limit of the accuracy that a changed net loses on new rows, from rows that both nets were run on.

Of n independent rows W were right before and wrong after, B the other way round; (W, B) is multinomial with unknown
probabilities (p, q), and the drop is p - q. The limit is Buehler's (1957) for one fixed order of all outcomes, that of

    U(w, b) = w - b + z sqrt(w + b + z^2 / 2),

which grows with w and falls with b. Therefore {U <= U(W, B)} loses probability where p grows and gains it where q grows
(couple the rows), so that of all (p, q) whose drop is at least D those at p = q + D decide, and what they decide falls
in D. The rate q that remains is handled as by Berger and Boos (1994): it lies below its own limit but for probability
beta = delta / 50, which is paid. The largest probability over an interval [q1, q2] is at most that of (q1 + D, q2):
intervals are halved until this proves the maximum, so no grid stands for it.
"""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from scipy.special import bdtr, bdtrc, bdtri, ndtri

from onnxbound.results import Float64Array

_BETA = 1 / 50
"""The part of delta that is paid for the rate of rows that improve, which may lie above its limit."""

_STEP = 0.05
"""By how much the limit rises, in standard deviations of the drop, until it is proved."""

_NARROWEST = 1e-3
"""Of all rates, the part below which an interval is not halved: what it cannot prove is not proved."""

_ROUNDING = 1e-9
"""Far above the error of every probability that is computed here; added to each."""


def accuracy_drop_limit(worse: int, better: int, rows: int, delta: float = 0.05) -> float:
    """The drop in accuracy on new rows is at most this, with probability 1 - delta over the draw of the rows.

    Args:
        worse: W, rows that the first net gets right and the second wrong.
        better: B, rows that the first net gets wrong and the second right.
        rows: n, rows that both were run on, which neither net has seen.
        delta: Probability of failure.

    Returns:
        A fraction in [-1, 1], rounded up; negative where the second net is better.

    Raises:
        ValueError: More rows change than there are, or delta is not in (0, 1).

    >>> round(accuracy_drop_limit(110, 90, 10_000), 4)
    0.0045
    >>> round(accuracy_drop_limit(0, 0, 1_000), 4)  # 1 - 0.049^(1/1000)
    0.003
    """
    if min(worse, better) < 0 or worse + better > rows or rows < 1:
        raise ValueError(f"needs worse, better >= 0 and worse + better <= rows, not {worse}, {better} and {rows}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie between 0 and 1, not {delta}")
    beta = _BETA * delta
    outcomes = _Outcomes.up_to(worse, better, rows, float(-ndtri(delta)))
    largest_rate = 1.0 if better == rows else float(bdtri(better, rows, beta)) + _ROUNDING
    step = _STEP * sqrt(worse + better + 1) / rows
    low, high = (worse - better) / rows, 1.0
    while high - low > step / 8:
        middle = (low + high) / 2
        seen = max(outcomes.probability(q + middle, q) for q in _rates(middle, largest_rate, 9))
        low, high = (middle, high) if seen > delta - beta else (low, middle)
    while high < 1 and not outcomes.proved(high, largest_rate, delta - beta):
        high = min(high + step, 1.0)
    return ceil(high * 1e7) / 1e7


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """The outcomes whose U is at most that of what was seen.

    Attributes:
        rows: n.
        fewest_better: Of each w from 0 to n, the smallest b in the set, (n + 1,); beyond n - w where there is none.
    """

    rows: int
    fewest_better: Float64Array

    @classmethod
    def up_to(cls, worse: int, better: int, rows: int, z: float) -> "_Outcomes":
        z = max(z, 0.0)
        limit = worse - better + z * sqrt(worse + better + z * z / 2)
        w = np.arange(rows + 1.0)
        root = (z + np.sqrt(np.maximum(z * z + 4 * (2 * w + z * z / 2 - limit), 0))) / 2  # sqrt(w + b + z^2 / 2) at U
        fewest = np.maximum(np.ceil(root**2 - w - z * z / 2 - _ROUNDING * rows), 0)
        return cls(rows, np.minimum.accumulate(fewest[::-1])[::-1])

    def probability(self, worse: float, better: float) -> float:
        """At most this is the probability of the set where a row gets worse or better with these probabilities."""
        n = self.rows
        spread = 5 * sqrt(n * worse * (1 - worse)) + 20  # what lies outside is counted in full
        first, last = max(int(n * worse - spread), 0), min(int(n * worse + spread), n)
        w = np.arange(first, last + 1)
        below = float(bdtr(first - 1, n, worse)) if first else 0.0
        up_to = bdtr(w, n, worse)
        fewest = self.fewest_better[first : last + 1]
        rate = min(better / (1 - worse), 1.0) if worse < 1 else 1.0
        enough = np.where(fewest > 0, bdtrc(fewest - 1, np.maximum(n - w, 1), rate), 1.0)
        enough[fewest > n - w] = 0.0
        return float(np.diff(up_to, prepend=below) @ enough) + below + float(1 - up_to[-1]) + _ROUNDING

    def proved(self, drop: float, largest_rate: float, alpha: float) -> bool:
        """Whether no rate q of rows that improve gives the set more than alpha where as many more get worse."""
        first, last = _rates(drop, largest_rate, 2)
        intervals = [(first, last)]
        while intervals:
            low, high = intervals.pop()
            if self.probability(low + drop, high) > alpha:
                if high - low < _NARROWEST * (last - first):
                    return False
                middle = (low + high) / 2
                intervals += [(low, middle), (middle, high)]
        return True


def _rates(drop: float, largest_rate: float, number: int) -> list[float]:
    """Rates q at equal distances, of all for which q + drop can be the rate of rows that get worse."""
    first = max(0.0, -drop)
    return [float(q) for q in np.linspace(first, max(first, min(largest_rate, (1 - drop) / 2)), number)]
