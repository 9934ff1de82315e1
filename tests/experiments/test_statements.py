"""Rank correlation and paired shares, held against SciPy and against their promises."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from onnxbound.experiments.kendall import kendall
from onnxbound.experiments.paired import clopper_pearson, paired

SMALL = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12)


@given(SMALL)
def test_tau_is_that_of_scipy(values: list[tuple[int, int]]) -> None:
    x, y = zip(*values, strict=True)
    tau = kendall(x, y).tau
    if tau is None:
        assert len(set(x)) == 1 or len(set(y)) == 1
    else:
        assert tau == pytest.approx(scipy.stats.kendalltau(x, y).statistic)


def test_the_interval_holds_what_it_promises() -> None:
    """tau of a normal pair with correlation 1/2 is 1/3; below 0.92 with probability < 1e-4 if coverage were 0.95."""
    random = np.random.default_rng(0)
    for size in (6, 12):
        hits = 0
        for _ in range(1000):
            x, noise = random.normal(size=(2, size))
            found = kendall(x.tolist(), (0.5 * x + np.sqrt(0.75) * noise).tolist())
            assert found.low is not None
            assert found.high is not None
            hits += found.low <= 1 / 3 <= found.high
        assert hits >= 920
    assert kendall([1, 2, 3, 4], [1, 2, 3, 4]).low is None


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
