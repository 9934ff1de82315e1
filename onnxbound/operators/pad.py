"""Pad with a constant."""

from dataclasses import dataclass

import numpy as np

from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Array, Operator, Shape, Unsupported


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

    def _interior(self, shape: Shape) -> tuple[slice, ...]:
        return tuple(slice(b, b + n) for b, n in zip(self.begin, shape, strict=True))

    def linear(self, *x: Array) -> Array:
        shape = x[0].shape[1:]
        result = np.zeros((len(x[0]), *self.output_shape(shape)), x[0].dtype)
        result[(slice(None), *self._interior(shape))] = x[0]
        return result

    def add_shift(self, y: Array) -> None:
        """The constant, outside the row."""
        if self.value:
            shape = tuple(n - b - e for b, n, e in zip(self.begin, y.shape[1:], self.end, strict=True))
            outside = np.ones(y.shape[1:], bool)
            outside[self._interior(shape)] = False
            y[:, outside] = self.value

    def transpose(self, c: Array, *shapes: Shape) -> tuple[Array, ...]:
        return (c[(slice(None), *self._interior(shapes[0]))],)

    def emit_linear(self, e: Emitter, *x: Value) -> Value:
        padded = e.node("Pad", x[0].name, e.integers(0, *self.begin, 0, *self.end))
        return Value(padded, self.output_shape(x[0].shape))

    def emit_act(self, e: Emitter, *x: Value) -> Value:
        """Padded with the constant."""
        padded = e.node("Pad", x[0].name, e.integers(0, *self.begin, 0, *self.end), e.number(self.value))
        return Value(padded, self.output_shape(x[0].shape))

    def emit_transpose(self, e: Emitter, c: Value, *shapes: Shape) -> tuple[Value, ...]:
        (shape,) = shapes
        ends = (b + n for b, n in zip(self.begin, shape, strict=True))
        places = e.integers(*range(1, len(shape) + 1))
        inside = e.node("Slice", c.name, e.integers(*self.begin), e.integers(*ends), places)
        return (Value(inside, shape),)

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
