"""Stated failure probabilities: how far a mean or a count may be from what is claimed before the claim is wrong."""

import numpy as np
from scipy.special import bdtr, bdtrc, chdtrc

from onnxbound.results import Float64Array

FAILURE = 1e-6
"""Probability that a true claim fails its test."""


def require_unbiased(draws: Float64Array, truth: Float64Array) -> None:
    """Means of n draws, each entry over its own standard error; together chi squared with one degree per entry.

    The entries may depend on one another; their number is halved twice to allow for it, which widens the test.
    """
    count = len(draws)
    errors = (draws.mean(axis=0) - truth) / (draws.std(axis=0, ddof=1) / np.sqrt(count))
    worst = float(np.abs(errors).max())
    assert chdtrc(1, worst**2) * errors.size > FAILURE, f"a mean is {worst:.1f} standard errors off"


def require_rarer(failures: int, draws: int, claimed: float) -> None:
    """A claim Pr[failure] <= claimed, given how often it failed."""
    chance = float(bdtrc(failures - 1, draws, claimed)) if failures else 1.0
    assert chance > FAILURE, f"{failures} of {draws} draws failed, where {claimed:.2%} are allowed"


def require_more_often(failures: int, draws: int, claimed: float) -> None:
    """A counterexample: Pr[failure] > claimed, but for a chance of `FAILURE`."""
    chance = 1.0 if not failures else float(1 - bdtr(failures - 1, draws, claimed))
    assert chance < FAILURE, f"only {failures} of {draws} draws failed, where {claimed:.2%} are allowed"
