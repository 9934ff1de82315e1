"""Choices, counts and single numbers as decisions of fixed probability, in both directions.

With a `Writer` each method writes the value that it is given; with a `Reader` it is given None, and returns the value
that it reads. Usual values take few bits, all others more. A value has one encoding: a reader refuses any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.levels import Coder
from onnxbound.codec.range_coder import Malformed

_LONGEST = 40
"""Binary digits of a natural number."""

_POWERS = (3, 3, 6, 6, 5, 4, 4, 3, 2, 1, 1, 1, 1)
"""Weights of the powers of two in the length of an axis."""

_DYADIC = 1 << 12
_DECIMAL = 10_000
_LARGEST_SHIFT, _LARGEST_POWER = 16, 7
SMALLEST, LARGEST = 2.0**-126, 2.0**60
"""Between these lie the absolute values of numbers that are not 0: processors treat others in different ways."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """Values by fixed probabilities.

    Attributes:
        coder: A `Writer` or a `Reader`.
    """

    coder: Coder

    def choice(self, given: int | None, weights: Sequence[int]) -> int:
        """A place in the list of weights, with a probability in proportion to its weight; a weight of 0 excludes it."""
        rest = sum(weights)
        for place, weight in enumerate(weights):
            if weight == rest:
                if given not in (None, place):
                    raise Malformed("the network has a setting that a code cannot express")
                return place
            if weight and self.coder.fixed(None if given is None else int(place == given), (weight << 16) // rest):
                return place
            rest -= weight
        raise AssertionError

    def flag(self, given: bool | None, yes: int, no: int) -> bool:
        """True or false, with the odds `yes` to `no`."""
        return self.choice(None if given is None else int(not given), (yes, no)) == 0

    def plain(self, given: int | None, count: int) -> int:
        """An integer of `count` bits, highest first."""
        result = 0
        for place in reversed(range(count)):
            result = 2 * result + self.coder.fixed(None if given is None else given >> place & 1)
        return result

    def natural(self, given: int | None) -> int:
        """0, 1, 2, ...: the length of n + 1 in unary, then its bits below the first (Elias' gamma code)."""
        wanted = None if given is None else (given + 1).bit_length()
        length = 1
        while self.coder.fixed(None if wanted is None else int(length < wanted)):
            length += 1
            if length > _LONGEST:
                raise Malformed("a number is too long")
        low = self.plain(None if given is None else (given + 1) % (1 << (length - 1)), length - 1)
        return (1 << (length - 1)) + low - 1

    def integer(self, given: int | None) -> int:
        """0, -1, 1, -2, ... in the order of `natural`."""
        zigzag = self.natural(None if given is None else 2 * given if given >= 0 else -2 * given - 1)
        return zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2

    def usual(self, given: int | None, values: Sequence[int], weights: Sequence[int]) -> int:
        """One of the usual values, or another natural number; the last weight is that of the others."""
        place = None if given is None else values.index(given) if given in values else len(values)
        chosen = self.choice(place, weights)
        if chosen < len(values):
            return values[chosen]
        return self.unusual(self.natural(given), values)

    def unusual(self, value: int, values: Sequence[int]) -> int:
        """A value that was written in full; refused if it has a shorter encoding."""
        if value in values:
            raise Malformed("a value is not in its shortest form")
        return value

    def count(self, given: int | None) -> int:
        """1, 2, 3, ...: a power of two, and an odd part."""
        power = None if given is None else (given & -given).bit_length() - 1
        exponent = self.usual(power, range(len(_POWERS)), (*_POWERS, 1))
        if exponent > _LONGEST:
            raise Malformed("a length is too large")
        odd = self.natural(None if given is None or power is None else (given >> power) // 2)
        return (2 * odd + 1) << exponent

    def alike(
        self, given: tuple[int, ...] | None, axes: int, values: Sequence[int], weights: Sequence[int]
    ) -> tuple[int, ...]:
        """One number per axis, usually all equal."""
        if axes == 1 or self.flag(None if given is None else len(set(given)) == 1, 15, 1):
            return (self.usual(None if given is None else given[0], values, weights),) * axes
        lengths = tuple(self.usual(None if given is None else given[axis], values, weights) for axis in range(axes))
        if len(set(lengths)) == 1:
            raise Malformed("equal lengths are written one by one")
        return lengths

    def number(self, given: float | None) -> float:
        """A float32 as n 2^-e, n 10^-e, or its 32 bits: the first of these forms that is exact."""
        spelling = None if given is None else _spelled(given)
        form = self.choice(None if spelling is None else spelling[0], (8, 4, 4))
        if form == 2:
            bits = self.plain(None if given is None else int(np.float32(given).view(np.uint32)), 32)
            value = float(np.uint32(bits).view(np.float32))
        else:
            size = self.natural(None if spelling is None else abs(spelling[1]))
            if size and self.flag(None if spelling is None else spelling[1] < 0, 1, 3):
                size = -size
            power = self.integer(None if spelling is None else spelling[2])
            value = _value(form, size, power)
            if _spelled(value) != (form, size, power):
                raise Malformed("a number is not in its shortest form")
        if form == 2 and _spelled(value)[0] != 2:
            raise Malformed("a number is not in its shortest form")
        require_plain(np.array(value))
        return value


def require_plain(values: NDArray[np.floating[Any]]) -> None:
    """Refuse numbers that are infinite, NaN, denormal or very large.

    Raises:
        Malformed: One is.
    """
    sizes = np.abs(values[values != 0])
    if not np.all((sizes >= SMALLEST) & (sizes <= LARGEST)):
        raise Malformed("a number is not finite, denormal, or larger than 2^60")


def _value(form: int, size: int, power: int) -> float:
    if abs(size) > _DECIMAL or abs(power) > _LARGEST_SHIFT:
        raise Malformed("a number is not in its shortest form")
    return float(np.float32(size * 2.0**-power if form == 0 else size / 10**power if power > 0 else np.inf))


def _spelled(value: float) -> tuple[int, int, int]:
    """Form, n and e."""
    if value == 0:
        return 0, 0, 0
    numerator, denominator = float(value).as_integer_ratio() if np.isfinite(value) else (_DYADIC, 1)
    shift = (numerator & -numerator).bit_length() - denominator.bit_length()
    odd = numerator >> max(shift, 0)
    if abs(odd) < _DYADIC and abs(shift) <= _LARGEST_SHIFT:
        return 0, odd, -shift
    for power in range(1, _LARGEST_POWER + 1):
        rounded = round(value * 10**power) if abs(value) < _DECIMAL else 0
        if 0 < abs(rounded) < _DECIMAL and rounded % 10 and float(np.float32(rounded / 10**power)) == value:
            return 1, rounded, power
    return 2, 0, 0
