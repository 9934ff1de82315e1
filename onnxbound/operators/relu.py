"""Relu."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.gate import Gate
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape


@dataclass(frozen=True)
class Relu(Gate):
    """max(x, 0); the gate is closed at 0."""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        return (0.0,)

    def act(self, *x: Array) -> Array:
        return np.asarray(np.maximum(x[0], x[0].dtype.type(0)))

    def slope(self, x: Array) -> Array:
        """1 where x > 0, else 0."""
        return (x > 0).astype(x.dtype)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (1.0,)

    def emit_act(self, e: Emitter, *x: Value) -> Value:
        return Value(e.node("Relu", x[0].name), x[0].shape)

    def emit_slope(self, e: Emitter, x: Value) -> str:
        """1 where x > 0, else 0."""
        return e.node("Cast", e.node("Greater", x.name, e.number(0)), to=TensorProto.FLOAT)

    def emit_residual(
        self, e: Emitter, state: str, streams: int, x: tuple[Value, ...], t: tuple[Value, ...], w: tuple[Value, ...]
    ) -> Value:
        """As `residual`: max(w, -v), plus v where the gate is closed."""
        v = e.node("Add", x[0].name, t[0].name)
        closed = e.node("Sub", e.number(1), state)
        above = e.node("Max", w[0].name, e.node("Neg", v))
        return Value(e.node("Add", above, e.node("Mul", v, closed)), x[0].shape)

    def residual(self, state: Array | None, x: tuple[Array, ...], t: tuple[Array, ...], w: tuple[Array, ...]) -> Array:
        """max(w, -v) where the gate is open at x, max(w, -v) + v where it is closed, with v = x + t."""
        assert state is not None
        minus_v = np.subtract(-x[0], t[0])
        result = np.maximum(w[0], minus_v)
        np.multiply(minus_v, 1 - state, out=minus_v)
        return np.subtract(result, minus_v, out=result)


def parse(node: Node) -> Operator:
    """Relu."""
    node.shape()
    return Relu()


PARSERS = {"Relu": parse}
