"""GlobalAveragePool and ReduceMean."""

from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from onnxbound.operators import calculus
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Array, Operator, Shape, Tensor, Unsupported


@dataclass(frozen=True)
class Mean(Affine):
    """The mean over some axes of each row.

    Attributes:
        axes: Axes of a row that are averaged over, ascending.
        keep: Whether they stay, with length 1.
    """

    axes: tuple[int, ...]
    keep: bool

    def _batched(self) -> tuple[int, ...]:
        return tuple(axis + 1 for axis in self.axes)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's shape with those axes dropped, or of length 1."""
        kept = [1 if axis in self.axes else n for axis, n in enumerate(shapes[0]) if self.keep or axis not in self.axes]
        return tuple(kept)

    def linear(self, *x: Tensor) -> Tensor:
        return x[0].mean(axis=self._batched(), keepdims=self.keep)

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The cotangent spread evenly."""
        (shape,) = shapes
        kept = (1 if axis in self.axes else n for axis, n in enumerate(shape))
        share = c.reshape(c.shape[0], *kept) / c.dtype.type(prod(shape[axis] for axis in self.axes))
        return (calculus.broadcast_to(share, (c.shape[0], *shape)).copy(),)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """1 / sqrt(number of entries averaged), the exact norm."""
        return (1 / sqrt(prod(shapes[0][axis] for axis in self.axes)),)


def parse_global(node: Node) -> Operator:
    """GlobalAveragePool: all axes behind the channels, kept."""
    return Mean(tuple(range(1, len(node.shape()))), keep=True)


def parse_reduce(node: Node) -> Operator:
    """ReduceMean, with axes as attribute (below opset 18) or input."""
    shape = node.shape()
    axes = node.option(1, "axes", None)
    if axes is None or np.size(axes) == 0:
        if node.attributes.get("noop_with_empty_axes", 0):
            return Mean((), keep=True)
        raise Unsupported("it averages over the batch as well")
    positions = row_axes(axes, len(shape))
    return Mean(tuple(sorted(positions)), bool(node.attributes.get("keepdims", 1)))


def row_axes(axes: Array, rank: int) -> tuple[int, ...]:
    """ONNX axes of a batched tensor, possibly negative, as axes of one row of `rank` axes."""
    positions = tuple(int(axis) % (rank + 1) - 1 for axis in np.ravel(axes))
    if -1 in positions:
        raise Unsupported("it acts along the batch axis, so rows would not be independent")
    return positions


PARSERS = {"GlobalAveragePool": parse_global, "ReduceMean": parse_reduce}
