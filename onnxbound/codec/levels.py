"""How a tensor of small integers is written: decisions, and what each is predicted from.

One function describes both directions: with a `Writer` it codes the levels it is given, with a `Reader` it ignores them
and returns those it reads. What it looks at is what is known already: neighbours in the filter, the same tap of the
filter before, and how many entries of the row, of the tap and of the channel have not been zero.
"""

from collections.abc import Hashable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LARGEST_LEVEL = (1 << 24) - 1
"""Larger ones have no exact float32."""

_UNARY = 20
"""Magnitudes from here on are written with their length first."""

_LONG_BITS = 25
_DENSITIES = (0, 1, 3, 6, 10, 16, 22)
"""Shares of 1/32 at which the density of nonzero entries changes class."""


Filters = tuple[int, int, int, int]
"""Filters, channels, height, width."""


class Coder(Protocol):
    """A `Writer` or a `Reader`."""

    def code(self, bit: int | None, kind: Hashable, contexts: list[Hashable]) -> int:
        """One decision, given or found."""


def code_levels(coder: Coder, tensor: Hashable, shape: Filters, levels: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Write or read one tensor.

    Args:
        coder: A `Writer`, or a `Reader` at the same place.
        tensor: Stands for the tensor in the file; some statistics are its own.
        shape: Filters, channels, height, width.
        levels: What to write, of that shape; None where it is read.

    Returns:
        The levels, of that shape.
    """
    filters, channels, height, width = shape
    given = None if levels is None else levels.tolist()
    at_tap = [[[0] * width for _ in range(height)] for _ in range(channels)]
    in_channel = [0] * channels
    blank = [[[0] * width for _ in range(height)] for _ in range(channels)]
    result, before = [], blank
    image = height * width > 1
    for number in range(filters):
        found: list[list[list[int]]] = []
        in_row = 0
        for c in range(channels):
            kernel: list[list[int]] = []
            found.append(kernel)
            in_kernel = 0
            for y in range(height):
                line: list[int] = []
                kernel.append(line)
                for x in range(width):
                    left = line[x - 1] if x else 0
                    up = kernel[y - 1][x] if y else 0
                    known = y * width + x
                    beside = min(abs(left), 2) + min(abs(up), 2)
                    past = min(abs(before[c][y][x]), 2)
                    across = min(abs(found[c - 1][y][x]), 2) if c else 0
                    tap = _density(at_tap[c][y][x], number)
                    row = _density(in_row, c * height * width + known)
                    channel = _density(in_channel[c], number * height * width + known)
                    local = _density(in_kernel, known)
                    contexts: list[Hashable] = [
                        tensor,
                        (tensor, tap, row),
                        (min(abs(left), 2), min(abs(up), 2), local) if image else (past, tap),
                        (tensor, channel, row, min(known, 3)),
                        (tensor, y, x, past) if image else (across, past, row),
                        (beside, past + across, local),
                    ]
                    value = 0 if given is None else given[number][c][y][x]
                    if coder.code(int(value != 0), "nonzero", contexts):
                        value = _code_nonzero(
                            coder,
                            value,
                            [tensor, (_sign(left), _sign(up)), (tensor, c, y, x)],
                            [tensor, (min(beside, 3), past), (row, tap)],
                        )
                        in_row += 1
                        in_kernel += 1
                        in_channel[c] += 1
                        at_tap[c][y][x] += 1
                    else:
                        value = 0
                    line.append(value)
        result.append(found)
        before = found
    return np.array(result, np.int64).reshape(shape)


def _code_nonzero(coder: Coder, value: int, signs: list[Hashable], sizes: list[Hashable]) -> int:
    """Sign and magnitude of a level that is not zero."""
    negative = coder.code(int(value < 0), "sign", signs)
    size = 1
    while size < _UNARY and coder.code(int(abs(value) > size), ("size", min(size, 6)), [(size, s) for s in sizes]):
        size += 1
    if size == _UNARY:
        size += _code_long(coder, abs(value) - _UNARY)
    return -size if negative else size


def _code_long(coder: Coder, value: int) -> int:
    """A number from 0 on: the length of value + 1 in unary, then its bits below the first."""
    wanted = (value + 1).bit_length()
    length = 1
    while length < _LONG_BITS and coder.code(int(length < wanted), "length", [length]):
        length += 1
    result = 1
    for place in reversed(range(length - 1)):
        result = 2 * result + coder.code((value + 1) >> place & 1, "long", [(length, place)])
    return result - 1


def _density(nonzero: int, count: int) -> int:
    share = (nonzero * 32 + 16) // (count + 1)
    return sum(share > limit for limit in _DENSITIES)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
