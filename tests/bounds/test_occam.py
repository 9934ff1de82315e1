"""The description bound holds over repeated draws, and its logarithms are rounded to the safe side."""

import mpmath
import numpy as np
import pytest

from onnxbound.bounds.occam import description_gap


@pytest.mark.parametrize("bits", [0, 1, 1000, 10**7])
@pytest.mark.parametrize("delta", [0.05, 1e-12])
@pytest.mark.parametrize("rows", [10, 60_000])
def test_gap_is_its_formula_rounded_up(bits: int, delta: float, rows: int) -> None:
    with mpmath.workdps(50):
        exact = mpmath.sqrt((mpmath.log(2) * bits + mpmath.log(1 / mpmath.mpf(delta))) / (2 * rows))
        found = description_gap(bits, delta, rows)
        assert exact <= found <= exact * (1 + mpmath.mpf(10) ** -14)


def test_coverage_over_repeated_draws() -> None:
    """64 classifiers of 6 bits each, errors between 0.1 and 0.5; the most favourable is reported; 4,000 draws.

    The bound must fail in at most delta of them. That it is near: without the bits it would fail far more often.
    """
    random = np.random.default_rng(0)
    delta, rows, repeats = 0.2, 200, 4000
    true = np.linspace(0.1, 0.5, 64)
    seen = random.binomial(rows, true, size=(repeats, 64)) / rows
    failed = (true > seen + description_gap(6, delta, rows)).any(axis=1).mean()
    uncharged = (true > seen + description_gap(0, delta, rows)).any(axis=1).mean()
    assert failed <= delta
    assert uncharged > delta
