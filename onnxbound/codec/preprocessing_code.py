"""How preprocessing is written: the layout of a file's rows, a scale, and mean and std with few binary places."""

from typing import Literal

import numpy as np

from onnxbound.codec.grammar import Grammar
from onnxbound.codec.range_coder import Malformed
from onnxbound.data.preprocessing import Layout, Preprocessing

_LAYOUTS: tuple[Layout | None, ...] = (None, "nhwc", "flat", "nchw")
_SCALES = (None, 1 / 255, 1.0)
"""Scales that are named; others are numbers."""

FINEST = 16
"""Binary places that the lattice may have."""

_PLACES = (6, 5, 7, 8, 4)


def code_preprocessing(g: Grammar, given: Preprocessing | None) -> Preprocessing:
    """Write or read a preprocessing whose numbers are float32, but for a scale of 1/255.

    Raises:
        Malformed: It is not in its shortest form, or has a number that is not possible.
    """
    layout = _LAYOUTS[g.choice(None if given is None else _LAYOUTS.index(given.layout), (10, 4, 1, 1))]
    named = None if given is None else _SCALES.index(given.scale) if given.scale in _SCALES else 3
    place = g.choice(named, (5, 8, 2, 1))
    scale = _SCALES[place] if place < 3 else g.number(None if given is None else given.scale)
    means = g.flag(None if given is None else given.mean != (0.0,), 7, 9)
    stds = g.flag(None if given is None else given.std != (1.0,), *((7, 1) if means else (1, 7)))
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    if means or stds:
        digits = 0 if given is None else max(map(_digits, (*given.mean, *given.std)))
        digits = g.usual(None if given is None else digits, _PLACES, (8, 2, 2, 2, 1, 1))
        if digits > FINEST:
            raise Malformed("preprocessing has too many binary places")
        mean = _code_numbers(g, None if given is None else given.mean, digits, 0) if means else mean
        std = _code_numbers(g, None if given is None else given.std, digits, 1) if stds else std
        if digits != max(map(_digits, (*mean, *std))):
            raise Malformed("preprocessing has more binary places than it needs")
    long_way = (place == 3 and scale in _SCALES) or (means and mean == (0.0,)) or (stds and std == (1.0,))
    if long_way or scale == 0 or 0 in std:
        raise Malformed("preprocessing is not in its shortest form, or divides by 0")
    return Preprocessing(scale, mean, std, layout)


def _code_numbers(g: Grammar, given: tuple[float, ...] | None, digits: int, least: Literal[0, 1]) -> tuple[float, ...]:
    """Multiples n 2^-digits, least <= n < least + 2^digits, or other numbers in full."""
    count = g.usual(None if given is None else len(given), (1, 3), (5, 10, 1))
    if not 1 <= count <= 1 << 12:
        raise Malformed("a mean or a standard deviation has no number, or too many")
    numbers = []
    for k in range(count):
        value = None if given is None else given[k]
        if g.flag(None if value is None else _near(value, digits, least), 15, 1):
            n = g.plain(None if value is None else int(value * (1 << digits)) - least, digits) + least
            numbers.append(n / (1 << digits))
        else:
            numbers.append(g.number(value))
            if _near(numbers[-1], digits, least):
                raise Malformed("preprocessing is not in its shortest form")
    return tuple(numbers)


def _near(value: float, digits: int, least: int) -> bool:
    scaled = value * (1 << digits)
    return least <= scaled < least + (1 << digits) and scaled % 1 == 0


def _digits(value: float) -> int:
    """Binary places of a number between 0 and 1; 0 for others, which are written in full."""
    return next((k for k in range(FINEST + 1) if 0 <= value <= 1 and value * (1 << k) % 1 == 0), 0)


def on_lattice(preprocessing: Preprocessing, places: int) -> Preprocessing:
    """Round mean and std to so many binary places, a std to one unit at least; keep numbers not between 0 and 1."""

    def rounded(value: float, least: int) -> float:
        if not 0 <= value <= 1:
            return float(np.float32(value))
        return max(least, min(round(value * (1 << places)), (1 << places) - 1 + least)) / (1 << places)

    scale = preprocessing.scale
    return Preprocessing(
        scale if scale in _SCALES else float(np.float32(scale)),
        tuple(rounded(value, 0) for value in preprocessing.mean),
        tuple(rounded(value, 1) for value in preprocessing.std),
        preprocessing.layout,
    )
