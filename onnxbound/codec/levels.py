"""How a tensor of small integers is written: decisions, and the contexts that predict each of them.

Sizes come first, signs later: the order of hidden units is free, and carries the first bits of the signs (`units`).
One function describes both directions: with a `Writer` it codes the integers it is given, with a `Reader` it ignores
them and returns those it reads. A context is what is known already: neighbours in the filter, the same tap of the
filter before, and how many entries of the row, of the tap and of the channel have not been zero.
"""

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from itertools import product
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

    def code(self, bit: int | None, kind: Hashable, contexts: Sequence[Hashable]) -> int:
        """One decision, given or found, with a probability that is learnt."""

    def fixed(self, bit: int | None, probability: int = 1 << 15) -> int:
        """One decision, given or found; a 1 has the probability in units of 2^-16."""

    def finish(self) -> str:
        """The bits of all decisions so far."""


def code_sizes(coder: Coder, tensor: Hashable, shape: Filters, sizes: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Write or read the absolute values of a tensor's integers.

    Args:
        coder: A `Writer`, or a `Reader` at the same place.
        tensor: Stands for the tensor in the file; some statistics are its own.
        shape: Filters, channels, height, width.
        sizes: The values to write, of that shape; None where they are read.

    Returns:
        The values, of that shape.
    """
    filters, channels, height, width = shape
    given = None if sizes is None else sizes.tolist()
    at_tap = [[[0] * width for _ in range(height)] for _ in range(channels)]
    in_channel = [0] * channels
    blank = [[[0] * width for _ in range(height)] for _ in range(channels)]
    result, before = [], blank
    image = height * width > 1
    for number in range(filters):
        kernels: list[list[list[int]]] = []
        in_row = 0
        for c in range(channels):
            kernel: list[list[int]] = []
            kernels.append(kernel)
            in_kernel = 0
            for y in range(height):
                line: list[int] = []
                kernel.append(line)
                for x in range(width):
                    left = min(line[x - 1], 2) if x else 0
                    up = min(kernel[y - 1][x], 2) if y else 0
                    known = y * width + x
                    past = min(before[c][y][x], 2)
                    across = min(kernels[c - 1][y][x], 2) if c else 0
                    tap = _density(at_tap[c][y][x], number)
                    row = _density(in_row, c * height * width + known)
                    channel = _density(in_channel[c], number * height * width + known)
                    local = _density(in_kernel, known)
                    contexts: list[Hashable] = [
                        tensor,
                        (tensor, tap, row),
                        (left, up, local) if image else (past, tap),
                        (tensor, channel, row, min(known, 3)),
                        (tensor, y, x, past) if image else (across, past, row),
                        (left + up, past + across, local),
                    ]
                    value = 0 if given is None else given[number][c][y][x]
                    if coder.code(int(value != 0), "nonzero", contexts):
                        value = _code_size(coder, value, [tensor, (min(left + up, 3), past), (row, tap)])
                        in_row += 1
                        in_kernel += 1
                        in_channel[c] += 1
                        at_tap[c][y][x] += 1
                    else:
                        value = 0
                    line.append(value)
        result.append(kernels)
        before = kernels
    return np.array(result, np.int64).reshape(shape)


def code_signs(
    coder: Coder, tensor: Hashable, shape: Filters, sizes: NDArray[np.int64], levels: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Write or read the signs of one tensor whose sizes are known, and return its levels."""
    filters, channels, height, width = shape
    given = None if levels is None else levels.reshape(shape).tolist()
    signed = sizes.reshape(shape).tolist()
    for number, c, y, x in product(range(filters), range(channels), range(height), range(width)):
        kernel = signed[number][c]
        if kernel[y][x]:
            left, up = _sign(kernel[y][x - 1]) if x else 0, _sign(kernel[y - 1][x]) if y else 0
            negative = None if given is None else int(given[number][c][y][x] < 0)
            if coder.code(negative, "sign", [tensor, (left, up), (tensor, c, y, x)]):
                kernel[y][x] *= -1
    return np.array(signed, np.int64).reshape(shape)


def _code_size(coder: Coder, value: int, contexts: list[Hashable]) -> int:
    """A size that is not zero."""
    size = 1
    while size < _UNARY and coder.code(int(value > size), ("size", min(size, 6)), [(size, c) for c in contexts]):
        size += 1
    return size + _code_long(coder, value - _UNARY) if size == _UNARY else size


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
    return bisect_left(_DENSITIES, share)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
