"""Gemm and MatMul with a constant weight."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from onnxbound.operators import calculus
from onnxbound.operators.bilinear import MatrixProduct
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Tensor, Unsupported
from onnxbound.operators.weighted import Weighted


@dataclass(frozen=True, eq=False)
class Dense(Weighted):
    """`x -> A x` along the last axis; A is `(h_out, h_in)`. Earlier axes are positions that share the weight."""

    @property
    def channel_axis(self) -> int:
        """-1: units stand last."""
        return -1

    def positions(self, input_shape: Shape) -> int:
        """Product of the axes before the last; 1 for a plain vector."""
        return prod(input_shape[:-1])

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's shape with its last axis replaced."""
        (shape,) = shapes
        if not shape or shape[-1] != self.weight.shape[1]:
            raise Unsupported(f"the weight reads {self.weight.shape[1]} units, a row of the input has shape {shape}")
        return (*shape[:-1], self.channels)

    def map_frobenius_squared(self, input_shape: Shape) -> float:
        """|A|_F^2 times the number of positions."""
        return self.frobenius_squared() * self.positions(input_shape)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        del shapes
        return (sqrt(self.frobenius_squared()),)

    def linear(self, *x: Tensor) -> Tensor:
        """One matrix product over all rows and positions."""
        units = x[0].reshape(-1, x[0].shape[-1])
        return np.matmul(units, self.weight.T).reshape(*x[0].shape[:-1], self.channels)

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (np.matmul(c.reshape(-1, self.channels), self.weight).reshape(c.shape[0], *shapes[0]),)

    def as_weight(self, products: Array) -> Array:
        """Of the one group."""
        return products[..., 0, :, :]

    def patches(self, x: Array) -> Array:
        """x, one group."""
        return x.reshape(len(x), 1, -1, x.shape[-1])

    def by_group(self, c: Array) -> Array:
        """Positions last, one group."""
        return c.reshape(*c.shape[:2], 1, -1, self.channels).swapaxes(-1, -2)

    def bias_cotangent(self, c: Array) -> Array:
        """Added over positions."""
        return np.asarray(c.reshape(*c.shape[:2], -1, self.channels).sum(axis=2))

    def weight_gradient(self, x: Symbol, c: Symbol) -> Symbol:
        """One matrix product."""
        units = c.reshape(-1, self.channels)
        return units.apply("Gemm", x.reshape(-1, x.shape[-1]), shape=self.weight.shape, transA=1)

    def emitted(self) -> Iterator[tuple[str, Array]]:
        """The weight as it lies in memory."""
        weight, *bias = super().emitted()
        stored = calculus.in_memory(self.weight)
        yield weight if stored is self.weight else ("turned", stored)
        yield from bias


def parse_gemm(node: Node) -> Operator:
    """Gemm: alpha op(x) op(W) + beta C, with W constant and the batch as the rows of x."""
    weight = node.floating(1)
    if weight is None:
        raise Unsupported(
            "the weight is not a constant second factor",
            "Gemm is read with the activation first and the constant weight second",
        )
    if node.attributes.get("transA", 0):
        raise Unsupported("transA=1 on an activation puts the batch on the second axis")
    if weight.ndim != 2 or len(node.shape()) != 1:
        raise Unsupported(f"a weight of {weight.ndim} axes is multiplied by rows of shape {node.shape()}")
    if not node.attributes.get("transB", 0):
        weight = weight.T
    alpha = float(node.attributes.get("alpha", 1.0))
    scale = None if alpha == 1 else np.full(len(weight), alpha)
    return Dense(weight, scale, _gemm_bias(node, len(weight)))


def _gemm_bias(node: Node, channels: int) -> Array | None:
    beta = float(node.attributes.get("beta", 1.0))
    if beta == 0:
        return None
    bias = node.floating(2)
    if bias is None:
        if len(node.shapes) > 2 and node.shapes[2] is not None:
            raise Unsupported("C is computed from the rows", "write the sum as a separate Add")
        return None
    if bias.size not in (1, channels) or bias.shape[-1:] not in ((), (1,), (channels,)):
        raise Unsupported(f"C has the shape {bias.shape}, which is not one number per output unit")
    return np.broadcast_to(beta * bias.astype(np.float64).ravel(), (channels,)).copy()


def parse_matmul(node: Node) -> Operator:
    """MatMul of an activation with a constant matrix on its right, or of two activations."""
    if node.activations() == 2:
        return MatrixProduct()
    weight = node.floating(1)
    if weight is None:
        raise Unsupported(
            "its weight stands on the left",
            "MatMul is read with the activation first and the constant weight second",
        )
    while 2 < weight.ndim <= len(node.shape()) + 1 and weight.shape[0] == 1:
        weight = weight[0]
    if weight.ndim != 2:
        raise Unsupported(f"the weight has {weight.ndim} axes, where 2 are needed")
    return Dense(weight.T, None, None)


PARSERS = {"Gemm": parse_gemm, "MatMul": parse_matmul}
