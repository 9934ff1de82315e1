"""The bound from labelled rows that the net has not seen: the baseline, for nets of every kind."""

from decimal import Decimal
from math import log10

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.bounds.bound import Bound

REFERENCE = "Clopper & Pearson 1934"
ASSUMPTIONS = (
    "the test rows were drawn independently from the distribution of new rows, and none was dropped",
    "the net was fixed before anyone looked at these rows: no early stopping and no choice among nets by them",
    "errors are those of the net as this runtime evaluates it",
)


def holdout(errors: int, rows: int, delta: float, chance: float) -> Bound:
    """L_0(f) <= sup { p : P[Bin(m, p) <= k] >= delta }, with probability 1 - delta over the draw of the test rows.

    Args:
        errors: k, test rows without a positive margin.
        rows: m, test rows.
        delta: Probability of failure.
        chance: 1 - 1/K.

    >>> holdout(100, 10_000, 0.05, 0.9).value
    0.0117973
    """
    value = float(error_bound(errors, rows, 0, Decimal(repr(delta))))
    return Bound(
        name="holdout",
        kind="certified",
        value=value,
        log10=log10(value),
        vacuous=value >= chance,
        delta=delta,
        zeta=0.0,
        reference=REFERENCE,
        assumptions=ASSUMPTIONS,
        met=True,
        met_reason=f"{errors:,} errors on {rows:,} test rows; certify with `holdout` writes a certificate",
    )
