"""What can be certified of a net, whatever its operators are: by rows it has not seen, and by a code of few bits."""

from decimal import Decimal

from onnxbound.bounds.bound import Bound
from onnxbound.bounds.holdout import ASSUMPTIONS, REFERENCE, holdout
from onnxbound.certificates.statement import largest_code_bits
from onnxbound.codec.describe import describe
from onnxbound.codec.range_coder import Malformed
from onnxbound.graph.network import Network

_FEWEST_BITS = 0.1
"""Bits per parameter below which no search is begun."""

_COMPRESSED = (
    "the rows of the training set were drawn independently like new rows, none dropped",
    "the format was fixed without the rows",
)


def outlook(
    network: Network, rows: int, errors: int, delta: float, chance: float, test: tuple[int, int] | None
) -> tuple[Bound, Bound]:
    """The bounds of `certify` that need no theorem about the net: hold-out, and that of a compressed net.

    Args:
        network: The net.
        rows: Of the training set.
        errors: On it.
        delta: Probability that a bound fails.
        chance: 1 - 1/K.
        test: Errors on the test set and its rows; None without one.
    """
    if test is not None:
        held_out = holdout(*test, delta, chance)
    else:
        reason = "no test set was given: analyze --test T, or onnxbound certify MODEL --holdout T -o DIR"
        held_out = _open("holdout", delta, REFERENCE, ASSUMPTIONS, reason, met=None)
    obstacle = _obstacle(network) or hopeless(network, rows, errors, Decimal(repr(delta)), Decimal(repr(chance)))
    reason = obstacle or "the command certify searches for it"
    met = False if obstacle else None
    return held_out, _open("compressed", delta, "Langford 2005; Kraft's inequality", _COMPRESSED, reason, met=met)


def hopeless(network: Network, rows: int, errors: int, delta: Decimal, chance: Decimal) -> str:
    """Why no search for a code is begun: a trained net seldom shrinks to so few bits; empty where one is."""
    bits = max(0, largest_code_bits(rows, errors, delta, chance))
    if bits >= _FEWEST_BITS * network.parameters:
        return ""
    return (
        f"for a bound below chance, {rows:,} rows with {errors:,} errors allow {bits:,} bits,"
        f" {bits / network.parameters:.2g} per parameter; certify does not search where fewer than {_FEWEST_BITS} are"
        " allowed"
    )


def _obstacle(network: Network) -> str:
    """Why no code of the net can be certified; empty if one can."""
    try:
        describe(network)
    except Malformed as reason:
        return f"{reason}; the hold-out certificate works for every net"
    return ""


def _open(
    name: str, delta: float, reference: str, assumptions: tuple[str, ...], reason: str, *, met: bool | None
) -> Bound:
    return Bound(
        name=name,
        kind="certified",
        value=None,
        log10=None,
        vacuous=True,
        delta=delta,
        zeta=0.0,
        reference=reference,
        assumptions=assumptions,
        met=met,
        met_reason=reason,
    )
