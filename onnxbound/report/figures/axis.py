"""Axes: which values, which ticks, and where they lie."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, log10

from onnxbound.report.words import number, power_of_ten

_MOST_TICKS = 6
_DIGITS = 3
_SAME = 1e-5
"""Values that differ by less than this share of them are shown as one."""

_LEAST_DECADES = 0.05
_WIDE = 20.0
"""Positive values that differ by more than this factor are shown on a logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis; on a logarithmic one, values are given by their decimal logarithm.

    Attributes:
        label: What it shows, with its unit.
        low: Smallest value shown.
        high: Largest.
        ticks: (value, what is written there).
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one; what lies beyond is drawn at the end."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def linear(label: str, values: Iterable[float]) -> Axis:
    """An axis whose ends are ticks.

    >>> [word for _, word in linear("", [0.1, 0.9]).ticks]
    ['0', '0.2', '0.4', '0.6', '0.8', '1']
    """
    low, high = _range(values)
    raw = (high - low) / (_MOST_TICKS - 2)
    size = 10.0 ** floor(log10(raw))
    step = next(step for step in (size, 2 * size, 5 * size, 10 * size) if step >= raw * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    values = [float(f"{k * step:.12g}") for k in range(first, last + 1)]
    return Axis(label, first * step, last * step, tuple(zip(values, _distinct(values), strict=True)))


def _distinct(values: list[float]) -> list[str]:
    """Ticks in words, with as many digits as tell them apart.

    >>> _distinct([0.999, 0.9995, 1.0])
    ['0.999', '0.9995', '1']
    """
    words = [number(value) for value in values]
    digits = _DIGITS
    while len(set(words)) < len(words):
        digits += 1
        words = [f"{value:.{digits}g}" for value in values]
    return words


def logarithmic(label: str, logs: Iterable[float]) -> Axis:
    """An axis of powers of ten, or of 1, 2 and 5 times these where there are few, for values given by their log10.

    >>> [word for _, word in logarithmic("", [-2.0, 1.0]).ticks]
    ['0.01', '0.1', '1', '10']
    """
    low, high = _range(logs)
    if high - low < _LEAST_DECADES:
        low, high = low - _LEAST_DECADES, high + _LEAST_DECADES
    first, last = floor(low + 1e-9), ceil(high - 1e-9)
    if last - first <= 3:
        every = [
            k + log10(digit) for k in range(first, last + 1) for digit in ((1, 2, 5) if last - first < 3 else (1,))
        ]
        below = max((tick for tick in every if tick <= low + 1e-9), default=every[0])
        above = min((tick for tick in every if tick >= high - 1e-9), default=every[-1])
        ticks = tuple((tick, number(float(f"{10**tick:.1g}"))) for tick in every if below <= tick <= above)
        return Axis(label, below, above, ticks)
    step = ceil((last - first) / (_MOST_TICKS - 1))
    first, last = floor(first / step) * step, ceil(last / step) * step
    return Axis(label, first, last, tuple((float(k), power_of_ten(k)) for k in range(first, last + 1, step)))


def axis_for(quantity: str, values: Iterable[float]) -> tuple[Axis, bool]:
    """An axis for values, logarithmic where they are all positive and span much, and whether it is."""
    known = list(values)
    if known and min(known) > 0 and max(known) > _WIDE * min(known):
        return logarithmic(f"{quantity} (log scale)", map(log10, known)), True
    return linear(quantity, known), False


def _range(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high - low > _SAME * max(abs(low), abs(high)):
        return low, high
    half = 0.5 * abs(low) or 0.5
    return low - half, low + half
