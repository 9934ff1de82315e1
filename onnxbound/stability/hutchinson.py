"""The error of estimates of |J|_F: |J|_F^2 = E |J g|^2 for g ~ N(0, I), from the mean over r probes.

That mean is |J|_F^2 times Q, Q a mean of weighted squares of normal numbers; the weights are the shares of the squared
singular values. Its variance is the larger, the fewer singular values dominate: with a single one Q is chi^2_r / r.
"""

import numpy as np
from scipy.special import gammaincinv, gammaln

from onnxbound.results import Float64Array

ENOUGH = 0.1
"""Standard error of |J|_F relative to it, from which on no more probes are taken."""

STEPS = (4, 8, 16, 32, 64)
"""Numbers of probes that are tried one after the other; the last reaches `ENOUGH` even at rank 1."""

_CONFIDENCE = 0.95


def spread(relative_errors: Float64Array, probes: int) -> float:
    """Relative variance of |J g|^2 over probes, pooled over the rows; 2 at rank 1, 2 / (effective rank) elsewhere.

    Args:
        relative_errors: Standard error of |J|_F^2 from its own r probes, over its value, (n,); NaN is left out.
        probes: r, at least 2.

    Returns:
        Between 0 and 2, which no Jacobian exceeds.
    """
    defined = relative_errors[np.isfinite(relative_errors)]
    if not defined.size:
        return 0.0
    # The mean of s^2 / m^2 is v / (1 + v / r) for gamma variables, whose mean is independent of their ratios.
    shares = float(np.mean(probes * defined**2))
    return min(2.0, shares / max(1 - shares / probes, 1e-12))


def standard_error(spread: float, probes: int, power: int) -> float:
    """Standard error of |J|_F^power relative to the root mean square of its estimates, power 1 or -1.

    Q is approximated by the gamma variable of its mean and variance. Where its reciprocal has infinite variance, the
    error is 1.

    >>> round(standard_error(2.0, 4, 1), 3), round(standard_error(2.0, 4, -1), 3)
    (0.341, 0.463)
    """
    if spread == 0:
        return 0.0
    shape = probes / spread
    if power == -1:
        if shape <= 1:
            return 1.0
        return float(np.sqrt(1 - (shape - 1) * np.exp(2 * (gammaln(shape - 0.5) - gammaln(shape)))))
    return float(np.sqrt(1 - np.exp(2 * (gammaln(shape + 0.5) - gammaln(shape))) / shape))


def factors(probes: int, numbers: int, power: int) -> tuple[float, float]:
    """Factors (low, high): all of so many |J|_F^power lie between these multiples of their estimates, at any rank.

    The tails of Q are heaviest at rank 1 (Roosta-Khorasani, Szekely and Ascher 2015, Theorem 1), so they are those of
    chi^2_r / r, each with its share of 1 - 0.95.

    >>> [round(number, 3) for number in factors(4, 1, -1)]
    [0.348, 1.669]
    """
    tail = (1 - _CONFIDENCE) / (2 * numbers)
    low, high = (float(np.sqrt(gammaincinv(probes / 2, p) / (probes / 2))) for p in (tail, 1 - tail))
    return (low, high) if power == -1 else (1 / high, 1 / low)


def enough_probes(spread: float) -> int:
    """The smallest of the numbers of probes at which the relative standard error of |J|_F is at most `ENOUGH`.

    >>> enough_probes(2.0), enough_probes(0.1)
    (64, 4)
    """
    return next((r for r in STEPS if standard_error(spread, r, 1) <= ENOUGH), STEPS[-1])
