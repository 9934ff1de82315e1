"""Bounds on the error of a compressed net that was built and evaluated, by [A] Theorem 2.1."""

from decimal import Decimal

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.bounds.bound import Bound, explicit
from onnxbound.bounds.occam import description_gap

_ASSUMPTIONS = (
    "the rows were drawn independently, none dropped",
    "the architecture was chosen without the rows",
)


def own_errors(errors: int, rows: int, bits: int, delta: float, chance: float, known: tuple[str, ...]) -> Bound:
    """L_0(g) <= Lhat_0(g) + sqrt((ln2 bits + ln(1/delta)) / 2m): g's own errors are counted.

    Args:
        errors: Rows whose margin under g is not positive, or is within the rounding of float32.
        rows: m.
        bits: Length of a description of g; everything that was chosen after seeing the rows is in it.
        delta: Probability of failure.
        chance: 1 - 1/K.
        known: Further things that were fixed before the rows were seen.
    """
    value = errors / rows + description_gap(bits, delta, rows)
    reason = f"{errors:,} of {rows:,} rows, {bits:,} bits"
    return _built("build-and-look", value, "[A] Theorem 2.1", delta, 0.0, chance, known, reason)


def own_errors_binomial(
    errors: int, rows: int, bits: int, delta: float, chance: float, known: tuple[str, ...]
) -> Bound:
    """The same by the binomial tail, which is never larger: sup {p : P[Bin(m, p) <= k] >= delta 2^-bits}."""
    value = float(error_bound(errors, rows, bits, Decimal(repr(delta))))
    reason = f"{errors:,} of {rows:,} rows, {bits:,} bits"
    return _built("build-and-look-binomial", value, "Langford 2005", delta, 0.0, chance, known, reason)


def margin_and_outliers(
    loss_at_gamma: float, outliers: int, rows: int, bits: int, delta: float, chance: float, known: tuple[str, ...]
) -> Bound:
    """L_0(g) <= Lhat_gamma(f) + zeta + sqrt(...), zeta the share of rows on which g is far from f: [A] Corollary A.1.

    Args:
        loss_at_gamma: Lhat_gamma(f).
        outliers: Rows with |f - g|_2 > gamma / sqrt 2.
        rows: m.
        bits: Length of a description of g.
        delta: Probability of failure.
        chance: 1 - 1/K.
        known: Further things that were fixed before the rows were seen.
    """
    zeta = outliers / rows
    value = loss_at_gamma + zeta + description_gap(bits, delta, rows)
    reason = f"{outliers:,} of {rows:,} rows are outliers, {bits:,} bits"
    return _built("corollary-a.1", value, "[A] Corollary A.1", delta, zeta, chance, known, reason)


def _built(
    name: str,
    value: float,
    reference: str,
    delta: float,
    zeta: float,
    chance: float,
    known: tuple[str, ...],
    reason: str,
) -> Bound:
    return explicit(
        name,
        value,
        chance,
        delta=delta,
        zeta=zeta,
        reference=reference,
        assumptions=(*_ASSUMPTIONS, *known),
        met=True,
        reason=reason,
    )
