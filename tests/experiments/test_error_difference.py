"""Intervals for the difference of two errors: they contain what was seen, and miss the truth as seldom as they say."""

from itertools import product
from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxbound.experiments.error_difference import error_differences


def _flags(only_first: int, only_second: int, both: int, rows: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    first, second = np.zeros(rows, bool), np.zeros(rows, bool)
    first[: only_first + both] = True
    second[only_first : only_first + both + only_second] = True
    return first, second


def test_rows_on_which_only_one_net_errs_are_counted() -> None:
    (found,) = error_differences(_flags(119, 100, 77, 10_000), 0.05)
    assert (found.first, found.second, found.rows) == (1, 2, 10_000)
    assert (found.only_first, found.only_second) == (119, 100)
    assert found.difference == pytest.approx(-0.0019)
    # The normal approximation, sqrt(219) * 1.96 / 10,000 = 0.0029, gives -0.0048 to 0.0010.
    assert found.low == pytest.approx(-0.0048, abs=3e-4)
    assert found.high == pytest.approx(0.0010, abs=3e-4)


def test_the_order_of_the_nets_only_turns_the_interval_round() -> None:
    first, second = _flags(40, 12, 5, 700)
    (one,), (other,) = error_differences((first, second), 0.05), error_differences((second, first), 0.05)
    assert (one.difference, one.low, one.high) == (-other.difference, -other.high, -other.low)
    assert one.high < 0


def test_intervals_of_several_pairs_hold_together() -> None:
    """Each of three pairs gets a third of the probability of failure, so its interval is wider."""
    first, second = _flags(40, 12, 5, 700)
    (alone,) = error_differences((first, second), 0.05)
    together = error_differences((first, second, second), 0.05)
    assert [(found.first, found.second) for found in together] == [(1, 2), (1, 3), (2, 3)]
    assert together[0].low < alone.low < alone.high < together[0].high
    assert together[2].low < 0 < together[2].high


def test_many_pairs_widen_the_intervals_only_a_little() -> None:
    """Of 28 pairs each gets delta 0.0009 per end; a normal interval at this level is 3.12 / 1.96 times as wide."""
    first, second = _flags(40, 12, 5, 700)
    (alone,) = error_differences((first, second), 0.05)
    many = error_differences([first, second] * 4, 0.05)
    assert len(many) == 28
    assert 1.4 < (many[0].high - many[0].low) / (alone.high - alone.low) < 1.75


def test_nets_that_err_on_the_same_rows_differ_by_little() -> None:
    (found,) = error_differences(_flags(0, 0, 30, 1000), 0.05)
    assert (found.only_first, found.only_second, found.difference) == (0, 0, 0.0)
    assert -0.004 < found.low < 0 < found.high < 0.004


def test_the_true_difference_is_missed_as_seldom_as_is_said() -> None:
    """The probability of every outcome of 60 rows, summed over those whose interval misses the truth."""
    n, p, q = 60, 0.1, 0.04
    missed = rest = 0.0
    for a, b in product(range(17), range(12)):
        probability = comb(n, a) * comb(n - a, b) * p**a * q**b * (1 - p - q) ** (n - a - b)
        if probability < 1e-4:
            rest += probability
            continue
        (found,) = error_differences(_flags(a, b, 0, n), 0.05)
        if not found.low <= q - p <= found.high:
            missed += probability
    assert 0 < missed + rest <= 0.05
