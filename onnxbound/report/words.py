"""Numbers and foreign names as terminals, pages and figures show them."""

from collections.abc import Iterable

from onnxbound.analysis.result import Report
from onnxbound.bounds.bound import Bound
from onnxbound.results import Basis
from onnxbound.stability.property import Property
from onnxbound.words import at_most, counted, number


def marked(words: str, basis: Basis) -> str:
    """Put a sign for about before a number that follows from estimates.

    >>> marked("0.12", "estimated"), marked("0.12", "measured")
    ('≈0.12', '0.12')
    """
    return f"\N{ALMOST EQUAL TO}{words}" if basis == "estimated" and words != number(None) else words


def error_at_most(bound: Bound) -> str:
    """Write a bound on the error of new rows in percent, rounded up; values above 100 % say nothing."""
    if bound.value is None:
        return number(None)
    shown = f"{at_most(bound.value, 100)} %" if bound.value <= 1 else "over 100 %"
    return f"{shown} (vacuous)" if bound.vacuous else shown


def magnitude(value: float | None, log10: float | None) -> str:
    """Write a number, or a power of ten if only its logarithm is known because it is too large for a float.

    >>> magnitude(None, 400.2), magnitude(2.5, 0.4)
    ('10^400', '2.5')
    """
    return f"10^{log10:.0f}" if value is None and log10 is not None else number(value)


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(exponent: int) -> str:
    """Write a tick of a logarithmic axis.

    >>> power_of_ten(-3), power_of_ten(0), power_of_ten(1)
    ('10⁻³', '1', '10')
    """
    return {0: "1", 1: "10"}.get(exponent, "10" + str(exponent).translate(_SUPERSCRIPTS))


def shortened(name: str, length: int) -> str:
    """Shorten a name that is too long for its place to its end, where names of layers differ.

    >>> shortened("features/block/conv", 10)
    '…lock/conv'
    """
    return name if len(name) <= length else f"\N{HORIZONTAL ELLIPSIS}{name[1 - length :]}"


def rows_of_columns(report: Report, headings: Iterable[tuple[Property, str]]) -> str:
    """Say for each column of the layers' table whether it is an extreme or a median, and over how many rows."""
    columns: dict[tuple[bool, int], list[str]] = {}
    for prop, heading in headings:
        for count in {own.rows for layer in report.layers if (own := layer.statistics[prop.name])}:
            columns.setdefault((prop.extreme == "median", count), []).append(heading)
    words = [
        f"{'median' if median else 'extreme'} over {counted(count, 'row')}: {', '.join(named)}"
        for (median, count), named in columns.items()
    ]
    return "; ".join(words)
