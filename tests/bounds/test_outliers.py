"""Which rows are left out, and how many unseen rows a sample may miss."""

import mpmath
import numpy as np
import pytest

from onnxbound.bounds.outliers import keep_rows, sub_sampling_zeta

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("zeta", [0.0, 0.01, 0.1, 0.5])
def test_the_rows_that_are_worst_in_any_condition_go(zeta: float) -> None:
    conditions = RANDOM.normal(size=(200, 3))
    keep = keep_rows(conditions, zeta)
    assert (~keep).sum() == int(zeta * 200)
    ranks = conditions.argsort(axis=0).argsort(axis=0).min(axis=1)
    if zeta:
        assert ranks[~keep].max() <= ranks[keep].min()


def test_nothing_is_dropped_without_zeta_and_undefined_rows_go_first() -> None:
    conditions = np.array([[1.0, 5.0], [np.nan, 6.0], [3.0, 7.0], [4.0, 8.0]])
    assert keep_rows(conditions, 0.0).all()
    assert keep_rows(conditions, 0.25).tolist() == [True, False, True, True]


def exact_tail(measured: int, discarded: int, claimed: int, zeta: float) -> mpmath.mpf:
    with mpmath.workdps(60):
        z = mpmath.mpf(zeta)
        tail = mpmath.fsum(
            mpmath.binomial(measured, i) * z**i * (1 - z) ** (measured - i) for i in range(discarded + claimed)
        )
        return mpmath.binomial(discarded + claimed - 1, discarded) * tail


@pytest.mark.parametrize(
    ("measured", "discarded", "claimed", "delta"),
    [(100, 0, 1, 0.05), (1000, 0, 20, 0.05), (1000, 5, 20, 0.05 / 3), (2000, 20, 90, 0.01), (50, 1, 3, 1e-6)],
)
def test_zeta_solves_its_equation_and_is_rounded_up(measured: int, discarded: int, claimed: int, delta: float) -> None:
    zeta = sub_sampling_zeta(measured, 10**6, discarded, claimed, delta)
    assert exact_tail(measured, discarded, claimed, zeta) <= delta
    assert exact_tail(measured, discarded, claimed, zeta * (1 - 1e-6)) > delta


def test_edges() -> None:
    assert sub_sampling_zeta(500, 500, 0, 10, 0.05) == 0
    assert sub_sampling_zeta(500, 500, 5, 10, 0.05) == 0.01
    assert sub_sampling_zeta(10, 1000, 0, 11, 0.05) == 1
    assert sub_sampling_zeta(10, 1000, 0, 0, 0.05) == 0
    # C(r+p-1, r) so large that the tail cannot be computed: nothing is claimed rather than too little.
    assert sub_sampling_zeta(10_000, 10**6, 2000, 2000, 0.05) == 1
    assert 0 < sub_sampling_zeta(1000, 10**6, 0, 5, 1e-300) <= 1


@pytest.mark.parametrize("zeta", [0.0, 0.04])
def test_coverage_over_repeated_samples(zeta: float) -> None:
    """Extremes of p = 3 dependent properties, read off 150 of 3,000 rows; 2,000 repeats; failures at most delta."""
    random = np.random.default_rng(1)
    rows, measured, delta = 3000, 150, 0.1
    base = random.normal(size=(rows, 1))
    population = 0.5 * base + random.normal(size=(rows, 3))
    discarded = int(zeta * measured)
    claimed = sub_sampling_zeta(measured, rows, discarded, 3, delta)
    assert claimed < 0.25
    failures = 0
    for _ in range(2000):
        sample = population[random.choice(rows, measured, replace=False)]
        lowest = sample[keep_rows(sample, zeta)].min(axis=0)
        failures += (population < lowest).any(axis=1).mean() > claimed
    assert failures <= delta * 2000
