"""Relu."""

from dataclasses import dataclass

import numpy as np

from onnxbound.operators import calculus as c
from onnxbound.operators.gate import Gate
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
        minus_v = np.subtract(-x[0], t[0])
        result = np.maximum(w[0], minus_v)
        minus_v *= 1 - state
        result -= minus_v
        return result


def parse(node: Node) -> Operator:
    """Relu."""
    node.shape()
    return Relu()


PARSERS = {"Relu": parse}
