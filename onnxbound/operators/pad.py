"""Pad with a constant."""

from dataclasses import dataclass

import numpy as np

from onnxbound.operators import calculus
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Operator, Shape, Tensor, Unsupported


@dataclass(frozen=True)
class Pad(Affine):
    """Entries around each row, all equal to `value`.

    Attributes:
        begin: How many before each axis of a row.
        end: How many behind.
        value: The constant.
    """

    begin: tuple[int, ...]
    end: tuple[int, ...]
    value: float

    def output_shape(self, *shapes: Shape) -> Shape:
        """Longer by the pads."""
        return tuple(b + n + e for b, n, e in zip(self.begin, shapes[0], self.end, strict=True))

    def linear(self, *x: Tensor) -> Tensor:
        return calculus.pad(x[0], (0, *self.begin), (0, *self.end))

    def act(self, *x: Tensor) -> Tensor:
        """With the constant around the row."""
        return calculus.pad(x[0], (0, *self.begin), (0, *self.end), self.value)

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (c[(slice(None), *(slice(b, b + n) for b, n in zip(self.begin, shapes[0], strict=True)))],)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (1.0,)


def parse(node: Node) -> Operator:
    """Pad with mode constant; pads are an attribute (below opset 11) or an input, axes an input from opset 18."""
    rank = len(node.shape()) + 1
    mode = node.attributes.get("mode", "constant")
    if mode != "constant":
        raise Unsupported(f"mode={mode!r}", "onnxbound reads constant padding")
    pads = node.option(1, "pads", None)
    if pads is None:
        raise Unsupported("it has no pads")
    axes = node.constant(3)
    order = range(rank) if axes is None else [int(axis) % rank for axis in np.ravel(axes)]
    lengths = [int(n) for n in np.ravel(pads)]
    begin, end = [0] * rank, [0] * rank
    for position, axis in enumerate(order):
        begin[axis], end[axis] = lengths[position], lengths[position + len(lengths) // 2]
    if min(begin + end) < 0:
        raise Unsupported("negative pads, which crop")
    if begin[0] or end[0]:
        raise Unsupported("it adds rows to the batch")
    value = float(np.ravel(node.option(2, "value", 0.0))[0])
    return Pad(tuple(begin[1:]), tuple(end[1:]), value)


PARSERS = {"Pad": parse}
