"""Element-wise gates: piecewise linear functions of one number, applied to each entry."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import reduce
from math import prod
from operator import or_

import numpy as np

from onnxbound.operators.operator import Operator, Shape, Tensor

_BLOCK_ENTRIES = 1 << 15
"""Of every tensor at a time, where several passes are made over it."""


class Gate(Operator):
    """An element-wise, continuous function; its linearisation is the slope at each entry."""

    is_activation: bool = True

    @property
    @abstractmethod
    def breakpoints(self) -> tuple[float, ...]:
        """Inputs at which the function has no derivative."""

    @abstractmethod
    def slope(self, x: Tensor) -> Tensor:
        """Derivative at x, in x's type; at a breakpoint, that of the closed side."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def linearise(self, *x: Tensor) -> Tensor:
        return self.slope(x[0])

    def jvp(self, state: Tensor, *t: Tensor) -> Tensor:
        return np.multiply(t[0], state)

    def vjp(self, state: Tensor, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (np.multiply(c, state),)

    def residual(self, state: Tensor, x: tuple[Tensor, ...], t: tuple[Tensor, ...], w: tuple[Tensor, ...]) -> Tensor:
        """Slope times w, plus what the change of the piece adds, which is exactly zero where the piece is the same."""
        moved = x[0] + t[0] + w[0]
        here = self.act(x[0]) - state * x[0]
        return state * w[0] + ((self.act(moved) - state * moved) - here)

    def ties(self, *x: Tensor) -> Tensor:
        """Rows with an entry exactly at a breakpoint; None if there is none."""
        if not self.breakpoints:
            return None
        at_breakpoint = reduce(or_, (x[0] == point for point in self.breakpoints))
        return at_breakpoint.any(axis=tuple(range(1, x[0].ndim)))


def in_cache(shape: Shape) -> Iterator[tuple[slice, tuple[slice, slice]]]:
    """Blocks of streams `(s, n, *shape)` that a core's cache holds: the rows, and the streams with these rows."""
    streams, n, *entries = shape
    fitting = max(1, _BLOCK_ENTRIES // max(1, prod(entries)))
    rows, together = max(1, min(n, fitting)), max(1, fitting // max(1, n))
    for start in range(0, streams, together):
        for row in range(0, n, rows):
            block = slice(row, row + rows)
            yield block, (slice(start, start + together), block)


def is_activation(operator: Operator) -> bool:
    """Whether the operator is an activation function, and not arithmetic such as a square root."""
    return isinstance(operator, Gate) and operator.is_activation
