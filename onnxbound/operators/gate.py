"""Element-wise gates: piecewise linear functions of one number, applied to each entry."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.operator import Array, Operator, Shape


class Gate(Operator):
    """An element-wise, continuous function; its linearisation is the slope at each entry."""

    is_activation: bool = True

    @property
    @abstractmethod
    def breakpoints(self) -> tuple[float, ...]:
        """Inputs at which the function has no derivative."""

    @abstractmethod
    def slope(self, x: Array) -> Array:
        """Derivative at x, in x's type; at a breakpoint, that of the closed side."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def linearise(self, *x: Array) -> Array:
        return self.slope(x[0])

    def jvp(self, state: Array | None, *t: Array) -> Array:
        assert state is not None
        return np.multiply(t[0], state)

    def vjp(self, state: Array | None, c: Array, *shapes: Shape) -> tuple[Array, ...]:
        assert state is not None
        return (np.multiply(c, state),)

    def residual(self, state: Array | None, x: tuple[Array, ...], t: tuple[Array, ...], w: tuple[Array, ...]) -> Array:
        """Slope times w, plus what the change of the piece adds, which is exactly zero where the piece is the same."""
        assert state is not None
        moved = x[0] + t[0] + w[0]
        here = self.act(x[0]) - state * x[0]
        result: Array = state * w[0] + ((self.act(moved) - state * moved) - here)
        return result

    @abstractmethod
    def emit_slope(self, e: Emitter, x: Value) -> str:
        """Write `slope`."""

    def emit_linearise(self, e: Emitter, *x: Value) -> str:
        return self.emit_slope(e, x[0])

    def emit_jvp(self, e: Emitter, state: str, streams: int, *t: Value) -> Value:
        return Value(e.node("Mul", t[0].name, state), t[0].shape)

    def emit_vjp(self, e: Emitter, state: str, streams: int, c: Value, *shapes: Shape) -> tuple[Value, ...]:
        return (Value(e.node("Mul", c.name, state), c.shape),)

    def emit_residual(
        self, e: Emitter, state: str, streams: int, x: tuple[Value, ...], t: tuple[Value, ...], w: tuple[Value, ...]
    ) -> Value:
        """As `residual`: slope times w, plus what the change of the piece adds."""
        shape = x[0].shape

        def piece(v: str) -> str:
            return e.node("Sub", self.emit_act(e, Value(v, shape)).name, e.node("Mul", v, state))

        moved = e.node("Add", e.node("Add", x[0].name, t[0].name), w[0].name)
        jump = e.node("Sub", piece(moved), piece(x[0].name))
        return Value(e.node("Add", e.node("Mul", w[0].name, state), jump), shape)

    def emit_ties(self, e: Emitter, *x: Value) -> str:
        """Entries exactly at a breakpoint."""
        equal = [e.node("Equal", x[0].name, e.number(point)) for point in self.breakpoints]
        return "" if not equal else equal[0] if len(equal) == 1 else e.node("Or", *equal)

    def ties(self, *x: Array) -> NDArray[np.bool_] | None:
        """Rows with an entry exactly at a breakpoint; None if there is none."""
        if not self.breakpoints:
            return None
        at_breakpoint = np.zeros(len(x[0]), bool)
        for point in self.breakpoints:
            at_breakpoint |= (x[0] == point).any(axis=tuple(range(1, x[0].ndim)))
        return at_breakpoint


def is_activation(operator: Operator) -> bool:
    """Whether the operator is an activation function, and not arithmetic such as a square root."""
    return isinstance(operator, Gate) and operator.is_activation
