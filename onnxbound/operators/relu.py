"""Relu."""

from dataclasses import dataclass

import numpy as np

from onnxbound.operators import calculus as c
from onnxbound.operators.gate import Gate, in_cache
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Operator, Shape, Tensor


@dataclass(frozen=True)
class Relu(Gate):
    """max(x, 0); the gate is closed at 0."""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        return (0.0,)

    def act(self, *x: Tensor) -> Tensor:
        return c.relu(x[0])

    def slope(self, x: Tensor) -> Tensor:
        """1 where x > 0, else 0."""
        return (x > 0).astype(x.dtype)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (1.0,)

    def residual(self, state: Tensor, x: tuple[Tensor, ...], t: tuple[Tensor, ...], w: tuple[Tensor, ...]) -> Tensor:
        """max(w, -v) where the gate is open at x, max(w, -v) + v where it is closed, with v = x + t."""
        minus_x, closed = -x[0], 1 - state
        if isinstance(state, c.Symbol):
            minus_v = minus_x - t[0]
            return np.maximum(w[0], minus_v) - minus_v * closed
        result = np.empty_like(w[0])
        for rows, block in in_cache(t[0].shape):
            minus_v = np.subtract(minus_x[rows], t[0][block])
            np.maximum(w[0][block], minus_v, out=result[block])
            minus_v *= closed[rows]
            result[block] -= minus_v
        return result


def parse(node: Node) -> Operator:
    """Relu."""
    node.shape()
    return Relu()


PARSERS = {"Relu": parse}
