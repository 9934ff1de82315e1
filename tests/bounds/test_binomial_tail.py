"""The binomial tail bound against 50-digit mpmath, over the whole range, valid and tight in one assert."""

from decimal import Decimal
from itertools import product

import mpmath
import numpy as np
import pytest

from onnxbound.bounds.binomial_tail import error_bound

DELTA = Decimal("0.05")


def log_tail(errors: int, rows: int, p: Decimal) -> mpmath.mpf:
    """ln P[Bin(m, p) <= k], by the incomplete beta function or, where mpmath does not sum that, by the sum itself."""
    with mpmath.workdps(60):
        at = mpmath.mpf(str(p))
        log_term = mpmath.loggamma(rows + 1) - mpmath.loggamma(errors + 1) - mpmath.loggamma(rows - errors + 1)
        log_term += errors * mpmath.log(at) + (rows - errors) * mpmath.log1p(-at) if p < 1 else mpmath.ninf
        total = term = mpmath.mpf(1)
        for i in range(errors, 0, -1):
            term *= i / mpmath.mpf(rows - i + 1) * (1 - at) / at
            total += term
            if term < mpmath.mpf(10) ** -20 * total:
                break
        return log_term + mpmath.log(total)


CASES = [
    (errors, rows, bits)
    for rows, bits in product((1, 10, 1000, 60_000, 10**9), (0, 64, 5800, 10**8))
    for errors in sorted({0, 1, rows // 100, rows // 3, rows - 1, rows})
    if errors <= min(rows, 10**7) or errors >= rows - 1
]


@pytest.mark.parametrize(("errors", "rows", "bits"), CASES)
def test_valid_and_tight(errors: int, rows: int, bits: int) -> None:
    found = error_bound(errors, rows, bits, DELTA)
    if errors == rows:
        assert found == 1
        return
    with mpmath.workdps(60):
        target = mpmath.log(mpmath.mpf("0.05")) - bits * mpmath.log(2)
        if found < 1:
            assert log_tail(errors, rows, found) <= target
        # Two units of the sixth digit down; ten where so many numbers of errors are likely that not all are summed.
        units = 10 if errors > 10**6 else 2
        inside = found - units * Decimal(1).scaleb(found.adjusted() - 5)
        assert errors / Decimal(rows) > inside or log_tail(errors, rows, inside) > target


def test_the_tail_is_summed_right() -> None:
    """Of small cases, against the sum of exact fractions."""
    for rows, errors in ((5, 2), (12, 0), (20, 19)):
        p = Decimal("0.3")
        with mpmath.workdps(60):
            at = mpmath.mpf("0.3")
            exact = sum(mpmath.binomial(rows, i) * at**i * (1 - at) ** (rows - i) for i in range(errors + 1))
            assert mpmath.almosteq(log_tail(errors, rows, p), mpmath.log(exact), 1e-15)


def test_monotone() -> None:
    bounds = [[error_bound(k, 1000, z, DELTA) for z in (0, 10, 100, 500)] for k in (0, 1, 50, 500, 999)]
    assert (np.diff(np.array(bounds, float), axis=0) >= 0).all()
    assert (np.diff(np.array(bounds, float), axis=1) >= 0).all()
    assert error_bound(10, 1000, 5, Decimal("0.01")) > error_bound(10, 1000, 5, DELTA)
    assert error_bound(10, 1000, 5, DELTA) > error_bound(100, 10_000, 5, DELTA)


@pytest.mark.parametrize(
    ("errors", "rows", "bits", "delta"),
    [
        (-1, 10, 0, "0.05"),
        (11, 10, 0, "0.05"),
        (0, 0, 0, "0.05"),
        (1, 10, -1, "0.05"),
        (1, 10, 0, "0"),
        (1, 10, 0, "1"),
    ],
)
def test_impossible_statements(errors: int, rows: int, bits: int, delta: str) -> None:
    with pytest.raises(ValueError, match="needs 0 <= errors <= rows"):
        error_bound(errors, rows, bits, Decimal(delta))


def test_coverage_of_a_finite_class() -> None:
    """256 classifiers of true errors 0.1 to 0.5, written in 8 bits each, the best chosen on 100 rows: 2,000 repeats.

    The bound of the chosen one fails in at most 5 % of them; by Hoeffding, 8 % would be seen with probability 2e-8.
    """
    generator = np.random.Generator(np.random.Philox(7))
    truth = np.linspace(0.1, 0.5, 256)
    bounds = np.array([float(error_bound(k, 100, 8, DELTA)) for k in range(101)])
    seen = generator.binomial(100, truth, size=(2000, 256))
    chosen = seen.argmin(axis=1)
    failed = truth[chosen] > bounds[seen[np.arange(2000), chosen]]
    assert failed.mean() <= 0.08
