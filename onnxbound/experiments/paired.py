"""Two nets at the same rows: on how many rows one has the larger value."""

from dataclasses import dataclass

import numpy as np

from onnxbound.results import Float64Array


@dataclass(frozen=True, slots=True)
class Paired:
    """How often the second of two nets has the larger value of a property, at the same rows.

    Attributes:
        first: Number of the first net, 1-based.
        second: Number of the second.
        rows: Number of rows on which the property is defined for both.
        larger: Number of rows on which the second net has the larger value.
        equal: Number of rows on which both have the same value.
        share: larger / rows.
        low: Lower end of a confidence interval for the share among new rows (Clopper and Pearson 1934).
        high: Its other end.
        distance: Largest difference of the two empirical distribution functions (Kolmogorov and Smirnov), 0 to 1.
    """

    first: int
    second: int
    rows: int
    larger: int
    equal: int
    share: float
    low: float
    high: float
    distance: float


def paired(first: Float64Array, second: Float64Array, numbers: tuple[int, int], alpha: float) -> Paired | None:
    """Compare two nets row by row; None where no row has both values.

    The samples are paired, so a test for independent samples would be wrong. The share of rows is binomial, and its
    interval is exact.

    Args:
        first: Values of the first net, (n,), NaN where undefined.
        second: Values of the second at the same rows.
        numbers: The numbers of the two nets.
        alpha: Probability with which the interval may miss the share.
    """
    both = np.isfinite(first) & np.isfinite(second)
    x, y = first[both], second[both]
    if not x.size:
        return None
    larger = int(np.sum(y > x))
    low, high = clopper_pearson(larger, x.size, alpha)
    return Paired(
        first=numbers[0],
        second=numbers[1],
        rows=x.size,
        larger=larger,
        equal=int(np.sum(y == x)),
        share=larger / x.size,
        low=low,
        high=high,
        distance=_distance(x, y),
    )


def clopper_pearson(successes: int, trials: int, alpha: float) -> tuple[float, float]:
    """Compute a two-sided interval for a probability; it misses with probability at most alpha.

    >>> clopper_pearson(0, 10, 0.05)[0], round(clopper_pearson(0, 10, 0.05)[1], 4)
    (0.0, 0.3085)
    """
    from scipy.special import betaincinv

    failures = trials - successes
    low = betaincinv(successes, failures + 1, alpha / 2) if successes else 0.0
    high = betaincinv(successes + 1, failures, 1 - alpha / 2) if failures else 1.0
    return float(low), float(high)


def _distance(x: Float64Array, y: Float64Array) -> float:
    places = np.sort(np.concatenate([x, y]))
    below_x = np.searchsorted(np.sort(x), places, side="right") / x.size
    below_y = np.searchsorted(np.sort(y), places, side="right") / y.size
    return float(np.abs(below_x - below_y).max())
