"""Clip: bounded from below, above, or both, such as ReLU6."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxbound.operators import calculus as c
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.gate import Gate
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Operator, Shape, Tensor, Unsupported
from onnxbound.operators.relu import Relu


@dataclass(frozen=True)
class Clip(Gate):
    """min(max(x, low), high); the gate is closed at both ends.

    Attributes:
        low: Lower end, -inf for none.
        high: Upper end, inf for none.
    """

    low: float
    high: float

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The ends that are finite."""
        return tuple(end for end in (self.low, self.high) if np.isfinite(end))

    def act(self, *x: Tensor) -> Tensor:
        if isinstance(x[0], Symbol):
            return c.clip(x[0], self.low, self.high)
        # NumPy's own clip keeps the sign of -0.
        kind = x[0].dtype.type
        return np.minimum(np.maximum(x[0], kind(self.low)), kind(self.high))

    def slope(self, x: Tensor) -> Tensor:
        """1 strictly inside, else 0."""
        return c.inside(x, self.low, self.high)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (1.0,)


def parse(node: Node) -> Operator:
    """Clip, with ends as attributes (below opset 11) or inputs."""
    node.shape()
    low = _end(node.option(1, "min", -np.inf))
    high = _end(node.option(2, "max", np.inf))
    if low > high:
        raise Unsupported(f"its lower end {low} lies above its upper end {high}")
    return Relu() if low == 0 and high == np.inf else Clip(low, high)


def _end(value: Any) -> float:
    end = np.asarray(value)
    if end.size != 1:
        raise Unsupported("an end of the range is not one number")
    # Exporters write "no end" as the largest float32.
    number = float(end.ravel()[0])
    return float(np.copysign(np.inf, number)) if abs(number) >= float(np.finfo(np.float32).max) else number


PARSERS = {"Clip": parse}
