"""How numbers are written for people, in messages as in results."""

from decimal import ROUND_CEILING, Context, Decimal

_UPWARDS = Context(prec=3, rounding=ROUND_CEILING)


def number(value: float | None) -> str:
    """Three significant digits; an en dash for null.

    >>> number(0.12345), number(None), number(1234567.0)
    ('0.123', '–', '1.23e+06')
    """
    if value is None:
        return "\N{EN DASH}"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e6 else f"{value:.3g}"


def counted(number: int, noun: str) -> str:
    """A number of things, the noun in the plural unless there is one.

    >>> counted(1, "node"), counted(2300, "node")
    ('1 node', '2,300 nodes')
    """
    return f"{number:,} {noun}" + "s" * (number != 1)


def percent(share: float | None) -> str:
    """A share: two decimals at most, whole percents from 100 % on.

    >>> percent(0.5904), percent(0.9), percent(23.401), percent(None)
    ('59.04 %', '90 %', '2,340 %', '–')
    """
    if share is None:
        return number(None)
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + " %" if share < 1 else f"{number(round(100 * share))} %"


def at_most(value: float | Decimal | None, scale: int = 1) -> str:
    """Three significant digits of scale * value, rounded up: what is printed of an upper bound is one itself.

    >>> at_most(0.011411), at_most(0.011411, 100), at_most(4.0), at_most(None)
    ('0.0115', '1.15', '4', '–')
    """
    if value is None:
        return number(None)
    return f"{float(_UPWARDS.create_decimal(Decimal(value) * scale)):.3g}"
