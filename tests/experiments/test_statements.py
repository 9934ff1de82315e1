"""Rank correlation and paired shares, held against SciPy and against their promises."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from onnxbound.experiments.kendall import interval, kendall
from onnxbound.experiments.paired import clopper_pearson, paired

SMALL = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12)


@given(SMALL)
def test_tau_is_that_of_scipy(values: list[tuple[int, int]]) -> None:
    x, y = zip(*values, strict=True)
    tau = kendall(x, y).tau
    if tau is None:
        assert len(set(x)) == 1 or len(set(y)) == 1
    else:
        assert tau == pytest.approx(scipy.stats.kendalltau(x, y).statistic, rel=1e-15)


@pytest.mark.parametrize("size", [2, 3, 5, 7, 30])
def test_tau_of_a_perfect_order_is_exactly_1(size: int) -> None:
    x = np.random.default_rng(size).normal(size=size)
    for y, tau in ((x, 1.0), (np.exp(x), 1.0), (-x, -1.0)):
        found = kendall(x.tolist(), y.tolist())
        assert found.tau == tau == pytest.approx(scipy.stats.kendalltau(x, y).statistic, rel=1e-15)
        assert (found.low is None) == (size < 5)
        if found.low is not None and found.high is not None:
            assert found.low < found.high
            assert {found.low, found.high} & {tau}
            assert abs(found.low + found.high) < 2
    tied = [1, 1, 2, 2, 3]
    assert kendall(tied, tied).tau == 1.0


def sampled(kind: str, tau: float, size: int, repeats: int) -> np.ndarray:
    """Kendall's tau of samples from a distribution whose tau is given."""
    random = np.random.default_rng([size, int(100 * tau), len(kind)])
    rho = np.sin(np.pi * tau / 2)
    x, noise = random.normal(size=(2, repeats, size))
    y = rho * x + np.sqrt(1 - rho**2) * noise
    if kind == "student":
        scale = np.sqrt(random.chisquare(3, size=(repeats, size)))
        x, y = x / scale, y / scale
    if kind == "clayton" and tau > 0:
        theta = 2 * tau / (1 - tau)
        x, y = (1 + random.exponential(size=(2, repeats, size)) / random.gamma(1 / theta, size=(repeats, size))) ** -(
            1 / theta
        )
    i, j = np.triu_indices(size, 1)
    return np.asarray((np.sign(x[:, i] - x[:, j]) * np.sign(y[:, i] - y[:, j])).mean(axis=1))


@pytest.mark.parametrize("kind", ["normal", "student", "clayton"])
@pytest.mark.parametrize("size", [5, 8, 10, 20])
def test_the_interval_holds_what_it_promises(kind: str, size: int) -> None:
    """At least 94 % of 2,000 repeats, for every tau from 0 to 0.9."""
    for tau in (0.0, 0.3, 0.6, 0.8, 0.87, 0.9):
        found, places = np.unique(np.round(sampled(kind, tau, size, 2000), 12), return_inverse=True)
        low, high = np.array([interval(value, size) for value in found]).T
        assert np.mean(((low <= tau) & (tau <= high))[places]) >= 0.94


@pytest.mark.parametrize(("tau", "size"), [(0.2, 6), (-0.6, 10), (0.95, 40)])
def test_at_the_ends_so_many_concordant_pairs_have_a_probability_of_a_fortieth(tau: float, size: int) -> None:
    for end, tail in zip(interval(tau, size), (1, -1), strict=True):
        rho = np.sin(np.pi / 2 * end)
        third = (2 / np.pi * np.arcsin(rho / 2)) ** 2
        variance = 2 * (1 - end**2 + 2 * (size - 2) * (1 / 9 - third)) / (size * (size - 1))
        pairs = (1 - end**2) / variance / 1.2
        concordant = pairs * (1 + tail * tau) / 2
        found = scipy.stats.beta.cdf((1 + tail * end) / 2, concordant, pairs - concordant + 1)
        assert found == pytest.approx(0.025, rel=0.1)
        assert found <= 0.025


@pytest.mark.parametrize("size", [5, 10, 40, 400])
def test_intervals_are_ordered_and_no_wider_than_needed(size: int) -> None:
    ends = np.array([interval(tau, size) for tau in np.linspace(-1, 1, 21)])
    assert (np.diff(ends, axis=0) >= 0).all()
    np.testing.assert_allclose(ends, -ends[::-1, ::-1], atol=1e-12)
    assert (ends[:, 0] <= np.linspace(-1, 1, 21) + 1e-12).all()
    width = 2 * 1.96 * np.sqrt(2 * (2 * size + 5) / (9 * size * (size - 1)))  # of tau without dependence, normal
    if size >= 40:
        assert width < ends[10, 1] - ends[10, 0] < 1.2 * width


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.05, 1e-4]))
def test_clopper_pearson_is_that_of_scipy(successes: int, more: int, alpha: float) -> None:
    trials = successes + more
    found = clopper_pearson(successes, trials, alpha)
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(1 - alpha, "exact")
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_pair_of_nets() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=200)
    y = x + random.normal(size=200)
    x[:5], y[3:8], y[20] = np.nan, np.nan, x[20]
    found = paired(x, y, (1, 2), 0.05)
    assert found is not None
    both = ~np.isnan(x + y)
    assert (found.rows, found.equal) == (192, 1)
    assert found.larger == np.sum(y[both] > x[both])
    assert found.low < found.share == found.larger / 192 < found.high
    assert found.distance == pytest.approx(scipy.stats.ks_2samp(x[both], y[both]).statistic)
    assert paired(np.full(3, np.nan), np.ones(3), (1, 2), 0.05) is None
