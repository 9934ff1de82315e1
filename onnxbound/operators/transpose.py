"""Transpose."""

from dataclasses import dataclass

import numpy as np

from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Operator, Shape, Tensor, Unsupported


@dataclass(frozen=True)
class Transpose(Affine):
    """The axes of a row in another order; a view, without a copy.

    Attributes:
        order: Where each axis of the result comes from, as axes of a row.
    """

    order: tuple[int, ...]

    def output_shape(self, *shapes: Shape) -> Shape:
        """The lengths in the new order."""
        return tuple(shapes[0][axis] for axis in self.order)

    def linear(self, *x: Tensor) -> Tensor:
        return x[0].transpose(0, *(axis + 1 for axis in self.order))

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (c.transpose(0, *(int(axis) + 1 for axis in np.argsort(self.order))),)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (1.0,)


def parse(node: Node) -> Operator:
    """Transpose that keeps the batch first."""
    rank = len(node.shape()) + 1
    order = [int(axis) % rank for axis in node.attributes.get("perm") or range(rank)[::-1]]
    if sorted(order) != list(range(rank)):
        raise Unsupported(f"perm={order} is not an order of {rank} axes")
    if order[0] != 0:
        raise Unsupported("it moves the batch axis")
    return Transpose(tuple(axis - 1 for axis in order[1:]))


PARSERS = {"Transpose": parse}
