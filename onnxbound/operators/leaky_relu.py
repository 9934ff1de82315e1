"""LeakyRelu and PRelu: a slope of its own below zero."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import DTypeLike

from onnxbound.operators import calculus as c
from onnxbound.operators.gate import Gate
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Tensor, Unsupported


@dataclass(frozen=True, eq=False)
class LeakyRelu(Gate):
    """x where x > 0, else slope * x.

    Attributes:
        negative_slope: Slope below zero, broadcast against one row.
    """

    negative_slope: Array

    @property
    def breakpoints(self) -> tuple[float, ...]:
        return (0.0,)

    def act(self, *x: Tensor) -> Tensor:
        """x where x > 0, else slope * x."""
        return c.leaky_relu(x[0], self.negative_slope)

    def slope(self, x: Tensor) -> Tensor:
        """1 where x > 0, else the negative slope."""
        return c.where(x > 0, x.dtype.type(1), self.negative_slope)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (max(1.0, float(np.abs(self.negative_slope).max())),)

    def cast(self, dtype: DTypeLike) -> Self:
        """The gate with its slopes rounded to `dtype`."""
        return replace(self, negative_slope=self.negative_slope.astype(dtype))


def parse_leaky_relu(node: Node) -> Operator:
    """LeakyRelu: one slope, an attribute."""
    node.shape()
    # The attribute is stored as float32 and onnxruntime uses it as such.
    return LeakyRelu(np.array(node.attributes.get("alpha", 0.01), np.float32))


def parse_prelu(node: Node) -> Operator:
    """PRelu: trained slopes, a constant input that broadcasts to the activation."""
    shape, slope = node.shape(), node.floating(1)
    if slope is None:
        raise Unsupported("the slope is not a constant")
    while slope.ndim > len(shape) and slope.shape[0] == 1:
        slope = slope[0]
    if slope.ndim > len(shape) or np.broadcast_shapes(slope.shape, shape) != shape:
        raise Unsupported(f"a slope of shape {slope.shape} does not broadcast to a row of shape {shape}")
    return LeakyRelu(slope)


def parse_abs(node: Node) -> Operator:
    """Abs: slope -1 below zero."""
    node.shape()
    return LeakyRelu(np.array(-1.0, np.float32))


PARSERS = {"Abs": parse_abs, "LeakyRelu": parse_leaky_relu, "PRelu": parse_prelu}
