"""The form in which every bound is reported."""

from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Literal

from onnxbound.results import Basis

PLOTTED = ("constants, logarithms and depth are dropped: for comparison only, no statement about new rows",)


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound or capacity.

    Attributes:
        name: Its name in `explain` and in conditions.
        kind: "as_plotted", constants dropped; "explicit", every constant in it; "certified", by one of
            the statements of `certify`.
        value: The number; None where it is undefined or larger than a float.
        log10: Its decimal logarithm; None where it is undefined or the value is 0.
        vacuous: Whether it says nothing about new rows: true for a bound that is undefined or at least chance, 1 - 1/K,
            and for every capacity.
        delta: Probability that it fails; None where nothing is claimed.
        zeta: Fraction of the rows that the conditions leave out; None where nothing is claimed.
        reference: The source.
        assumptions: The assumptions that it rests on.
        met: Whether the precondition holds on this net and these rows; None where that cannot be decided.
        met_reason: The reason for `met`, in words.
        basis: Whether the value follows from exact properties alone, or from estimates too.
    """

    name: str
    kind: Literal["as_plotted", "explicit", "certified"]
    value: float | None
    log10: float | None
    vacuous: bool
    delta: float | None
    zeta: float | None
    reference: str
    assumptions: tuple[str, ...]
    met: bool | None
    met_reason: str
    basis: Basis = "measured"


def as_plotted(name: str, log_value: float | None, reference: str, reason: str = "") -> Bound:
    """A capacity with its constants dropped.

    Args:
        name: Its name.
        log_value: Natural logarithm; -inf for 0; None where the capacity is undefined.
        reference: The source.
        reason: Why it is undefined.
    """
    value, log10 = None, None
    if log_value is not None:
        value = exp(log_value) if log_value < 709 else None
        log10 = log_value / log(10) if isfinite(log_value) else None
    return Bound(
        name=name,
        kind="as_plotted",
        value=value,
        log10=log10,
        vacuous=True,
        delta=None,
        zeta=None,
        reference=reference,
        assumptions=PLOTTED,
        met=None,
        met_reason=reason or "a capacity has no precondition",
    )


def explicit(
    name: str,
    value: float | None,
    chance: float,
    *,
    delta: float,
    zeta: float,
    reference: str,
    assumptions: tuple[str, ...],
    met: bool | None,
    reason: str,
) -> Bound:
    """A bound with every constant in it."""
    return Bound(
        name=name,
        kind="explicit",
        value=value,
        log10=log(value) / log(10) if value else None,
        vacuous=value is None or value >= chance,
        delta=delta,
        zeta=zeta,
        reference=reference,
        assumptions=assumptions,
        met=met,
        met_reason=reason,
    )
