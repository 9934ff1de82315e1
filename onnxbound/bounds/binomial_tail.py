"""From errors on m rows and a code length to an error on new rows, in decimal arithmetic, rounded outward.

Probabilities such as 0.05 * 2^-7000 underflow in floating point, and the logarithm of a float may differ in the last
bit from machine to machine. The logarithm of a Decimal with 50 digits is rounded correctly everywhere, so that every
machine finds the same digits.
"""

from decimal import ROUND_CEILING, Context, Decimal, localcontext
from functools import lru_cache
from math import factorial

_CONTEXT = Context(prec=50, Emin=-(10**9), Emax=10**9)
_DIGITS = 6
"""Significant digits of a bound; the last is rounded up."""

_HALVINGS = 80
_TERMS = 4000
"""Terms of a tail that are added one by one; the rest is bounded by a geometric series."""

_SLACK = Decimal("1e-30")
"""Added to a logarithm: more than all rounding of 50 digits together, less than any digit of a bound."""

_EXACT_FACTORIALS = 64
_TWO_PI = Decimal("6.2831853071795864769252867665590057683943387987502116")
_STIRLING = (
    (1, 12), (-1, 360), (1, 1260), (-1, 1680), (1, 1188), (-691, 360360), (1, 156), (-3617, 122400), (43867, 244188),
    (-174611, 125400),
)  # fmt: skip
"""B_2j / (2j (2j - 1)); behind n = 64 the first term that is left out is below 1e-33."""


@lru_cache(maxsize=256)
def error_bound(errors: int, rows: int, bits: int, delta: Decimal) -> Decimal:
    """sup { p : P[Bin(m, p) <= k] >= delta 2^-bits }, to six digits, rounded up.

    With probability at least 1 - delta over m independent rows, every classifier of a prefix-free family that is
    written in `bits` bits and errs on k of the rows errs on new rows with at most this probability: the binomial tail
    for each (Langford, Tutorial on practical prediction theory for classification, 2005), at confidence
    delta 2^-bits, and Kraft's inequality over all. With no bits it is the one-sided interval of Clopper and Pearson
    (1934).

    Args:
        errors: k, from 0 to m.
        rows: m, at least 1.
        bits: Length of the classifier's code, at least 0.
        delta: Probability of failure, in (0, 1).

    >>> error_bound(0, 59, 0, Decimal("0.05"))
    Decimal('0.0495077')
    >>> error_bound(840, 60_000, 5800, Decimal("0.05"))
    Decimal('0.104708')
    """
    if not (0 <= errors <= rows and rows >= 1 and bits >= 0 and 0 < delta < 1):
        raise ValueError(
            "needs 0 <= errors <= rows, rows >= 1, bits >= 0 and 0 < delta < 1, not"
            f" errors={errors}, rows={rows}, bits={bits}, delta={delta}"
        )
    if errors == rows:
        return Decimal(1)
    with localcontext(_CONTEXT):
        target = delta.ln() - bits * Decimal(2).ln()
        low, high = Decimal(errors) / rows, Decimal(1)
        coefficient = _log_binomial(rows, errors)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if _log_tail(errors, rows, middle, coefficient) <= target:
                high = middle
            else:
                low = middle
        return _rounded_up(high)


def _rounded_up(value: Decimal) -> Decimal:
    return Context(prec=_DIGITS, rounding=ROUND_CEILING).plus(value).normalize()


def _log_tail(errors: int, rows: int, p: Decimal, coefficient: Decimal) -> Decimal:
    """An upper bound of ln P[Bin(m, p) <= k]; 0 where p is too small for one to be worth finding.

    The probability of k - j - 1 errors is that of k - j times a ratio that falls with j, so what follows a term is at
    most a geometric series.
    """
    odds = (1 - p) / p
    ratio = errors / Decimal(rows - errors + 1) * odds
    if ratio >= 1:
        return Decimal(0)
    term = total = Decimal(1)
    summed = 0
    while summed < min(errors, _TERMS) and term > _SLACK:
        ratio = (errors - summed) / Decimal(rows - errors + summed + 1) * odds
        term *= ratio
        total += term
        summed += 1
    if summed < errors:
        total += term * ratio / (1 - ratio)
    at_errors = errors * p.ln() if errors else Decimal(0)
    return coefficient + at_errors + (rows - errors) * (1 - p).ln() + total.ln() + _SLACK * rows


def _log_binomial(rows: int, errors: int) -> Decimal:
    """ln of the number of ways to choose k of m."""
    return _log_factorial(rows) - _log_factorial(errors) - _log_factorial(rows - errors)


def _log_factorial(n: int) -> Decimal:
    """ln n!, by Stirling's series behind n = 64."""
    if n < _EXACT_FACTORIALS:
        return Decimal(factorial(n)).ln()
    x = Decimal(n)
    series = sum((Decimal(a) / b / x ** (2 * j + 1) for j, (a, b) in enumerate(_STIRLING)), Decimal(0))
    return x * x.ln() - x + (_TWO_PI * x).ln() / 2 + series
