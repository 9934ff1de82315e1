"""Softmax in the middle of a net, as in attention; [A]'s theorems are not about it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Unsupported


@dataclass(frozen=True)
class Softmax(Operator):
    """p = e^x / sum e^x along one axis; its state is p.

    Attributes:
        axis: Axis counted from the last, negative, so that it means the same in front of any leading axes.
    """

    axis: int

    piecewise_linear: ClassVar[bool] = False

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def act(self, *x: Array) -> Array:
        from scipy.special import softmax

        return np.asarray(softmax(x[0], axis=self.axis))

    def linearise(self, *x: Array) -> Array:
        return self.act(*x)

    def jvp(self, state: Array | None, *t: Array) -> Array:
        """p (t - <p, t>)."""
        assert state is not None
        weighted = state * t[0]
        return np.asarray(weighted - state * weighted.sum(axis=self.axis, keepdims=True))

    def vjp(self, state: Array | None, c: Array, *shapes: Shape) -> tuple[Array, ...]:
        """The same: the Jacobian is symmetric."""
        return (self.jvp(state, c),)

    def residual(self, state: Array | None, x: tuple[Array, ...], t: tuple[Array, ...], w: tuple[Array, ...]) -> Array:
        """The difference itself: nothing is large here, for all entries lie between 0 and 1."""
        assert state is not None
        return np.asarray(self.act(x[0] + t[0] + w[0]) - state - self.jvp(state, *t))

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """1/2, the largest norm of diag(p) - p p^T."""
        return (0.5,)

    def emit_act(self, e: Emitter, *x: Value) -> Value:
        return Value(e.node("Softmax", x[0].name, axis=self.axis), x[0].shape)

    def emit_linearise(self, e: Emitter, *x: Value) -> str:
        return self.emit_act(e, *x).name

    def emit_jvp(self, e: Emitter, state: str, streams: int, *t: Value) -> Value:
        """p (t - <p, t>)."""
        weighted = e.node("Mul", state, t[0].name)
        total = e.node("ReduceSum", weighted, e.integers(self.axis), keepdims=1)
        return Value(e.node("Sub", weighted, e.node("Mul", state, total)), t[0].shape)

    def emit_vjp(self, e: Emitter, state: str, streams: int, c: Value, *shapes: Shape) -> tuple[Value, ...]:
        """The same: the Jacobian is symmetric."""
        return (self.emit_jvp(e, state, streams, c),)

    def emit_residual(
        self, e: Emitter, state: str, streams: int, x: tuple[Value, ...], t: tuple[Value, ...], w: tuple[Value, ...]
    ) -> Value:
        moved = e.node("Add", e.node("Add", x[0].name, t[0].name), w[0].name)
        change = e.node("Sub", e.node("Softmax", moved, axis=self.axis), state)
        return Value(e.node("Sub", change, self.emit_jvp(e, state, streams, *t).name), x[0].shape)


def parse(node: Node) -> Operator:
    """Softmax along one axis; below opset 13 it goes over all axes from `axis` on."""
    rank = len(node.shape()) + 1
    old = node.opset < 13
    axis = int(node.attributes.get("axis", 1 if old else -1)) % rank
    if axis == 0:
        raise Unsupported("it acts along the batch axis, so rows would not be independent")
    if old and axis != rank - 1:
        raise Unsupported("below opset 13 it normalises over several axes at once", "export with opset 13 or newer")
    return Softmax(axis - rank)


PARSERS = {"Softmax": parse}
