"""Conditions that hold for all but a few rows, and for all but a fraction of the rows that were not measured."""

from math import lgamma, log

import numpy as np
from numpy.typing import NDArray

from onnxbound.results import Float64Array

_BISECTIONS = 60


def keep_rows(conditions: Float64Array, zeta: float) -> NDArray[np.bool_]:
    """Choose one (1 - zeta) fraction of the rows, from which all conditions are read, [A] Corollary A.1 and C.1.

    A row's rank is its worst rank over the conditions, and an undefined condition ranks worst; the floor(zeta n) rows
    of the worst rank are dropped.

    Args:
        conditions: One column per condition, oriented so that small is bad; NaN, undefined, is worst; (n, p).
        zeta: Fraction that may be dropped, 0 <= zeta < 1.

    Returns:
        (n,), True for the rows that are kept.

    >>> keep_rows(np.array([[3.0], [1.0], [np.nan], [2.0]]), 0.5)
    array([ True, False, False,  True])
    """
    rows = len(conditions)
    ordered = np.argsort(conditions, axis=0, kind="stable")
    ranks = np.empty_like(ordered)
    np.put_along_axis(ranks, ordered, np.arange(rows)[:, None], axis=0)
    ranks[np.isnan(conditions)] = -1
    keep = np.ones(rows, bool)
    keep[np.argsort(ranks.min(axis=1), kind="stable")[: int(zeta * rows)]] = False
    return keep


def sub_sampling_zeta(measured: int, rows: int, discarded: int, claimed: int, delta: float) -> float:
    """With probability 1 - delta, the extremes over a uniform sample fail for at most this fraction of all rows.

    n of m rows are drawn, r of them are discarded, and p extremes are taken over the rest. By the scenario bound with
    discarding they fail for at most a fraction zeta of the rows, where

        C(r+p-1, r) sum_{i < r+p} C(n, i) zeta^i (1-zeta)^(n-i) = delta.

    Args:
        measured: n.
        rows: m; n = m costs nothing beyond r / m.
        discarded: r.
        claimed: p, every number that is claimed.
        delta: Probability of failure.

    Returns:
        zeta, rounded up; 1 where nothing can be said.
    """
    if measured == rows:
        return discarded / rows
    from scipy.special import bdtr

    last = discarded + claimed - 1
    if claimed < 1 or last >= measured:
        return 1.0 if claimed else discarded / measured
    combinations = lgamma(last + 1) - lgamma(discarded + 1) - lgamma(claimed)
    target = np.exp(log(delta) - combinations)
    if target < 1e-290:  # the tail would underflow, and seem smaller than it is
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if bdtr(last, measured, middle) <= target * (1 - 1e-9) else (middle, high)
    return high
