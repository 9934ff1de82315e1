"""Formulas for NumPy and ONNX at once: given arrays they compute, given symbols they write nodes."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from onnx import TensorProto

from onnxbound.operators.emitter import Emitter


@dataclass(frozen=True, slots=True)
class Symbol:
    """A tensor of the graph that is being written; arithmetic on it appends nodes."""

    e: Emitter
    name: str

    def apply(self, op: str, *others: "Symbol | float") -> Self:
        """Append an operator of this tensor and others; numbers become constants."""
        names = (other.name if isinstance(other, Symbol) else self.e.number(other) for other in others)
        return type(self)(self.e, self.e.node(op, self.name, *names))

    def _number(self, value: "Symbol | float") -> "Symbol":
        return value if isinstance(value, Symbol) else Symbol(self.e, self.e.number(value))

    def __add__(self, other: "Symbol | float") -> Self:
        return self.apply("Add", other)

    def __sub__(self, other: "Symbol | float") -> Self:
        return self.apply("Sub", other)

    def __mul__(self, other: "Symbol | float") -> Self:
        return self.apply("Mul", other)

    def __truediv__(self, other: "Symbol | float") -> Self:
        return self.apply("Div", other)

    def __rsub__(self, other: float) -> "Symbol":
        return self._number(other).apply("Sub", self)

    def __rtruediv__(self, other: float) -> "Symbol":
        return self._number(other).apply("Div", self)

    def __pow__(self, other: float) -> Self:
        return self.apply("Pow", other)

    def __neg__(self) -> Self:
        return self.apply("Neg")

    __radd__, __rmul__ = __add__, __mul__


Real = Any
"""An `Array` or a `Symbol`; a formula does not know which."""


def exp(x: Real) -> Real:
    """e^x."""
    return x.apply("Exp") if isinstance(x, Symbol) else np.exp(x)


def log(x: Real) -> Real:
    """The natural logarithm."""
    return x.apply("Log") if isinstance(x, Symbol) else np.log(x)


def sigmoid(x: Real) -> Real:
    """1 / (1 + e^-x)."""
    if isinstance(x, Symbol):
        return x.apply("Sigmoid")
    from scipy.special import expit

    return expit(x)


def tanh(x: Real) -> Real:
    """The hyperbolic tangent."""
    return x.apply("Tanh") if isinstance(x, Symbol) else np.tanh(x)


def erf(x: Real) -> Real:
    """The error function."""
    if isinstance(x, Symbol):
        return x.apply("Erf")
    from scipy import special

    return special.erf(x)


def softplus(x: Real) -> Real:
    """log(1 + e^x)."""
    return x.apply("Softplus") if isinstance(x, Symbol) else np.logaddexp(x, x.dtype.type(0))


def absolute(x: Real) -> Real:
    """|x|."""
    return x.apply("Abs") if isinstance(x, Symbol) else np.abs(x)


def clip(x: Real, low: float, high: float) -> Real:
    """min(max(x, low), high)."""
    return x.apply("Clip", low, high) if isinstance(x, Symbol) else np.clip(x, low, high)


def where_positive(x: Real, positive: Real, otherwise: Real) -> Real:
    """`positive` where x > 0, else `otherwise`."""
    if isinstance(x, Symbol):
        assert isinstance(positive, Symbol)
        assert isinstance(otherwise, Symbol)
        e = x.e
        return Symbol(e, e.node("Where", x.apply("Greater", 0.0).name, positive.name, otherwise.name))
    return np.where(x > 0, positive, otherwise)


def indicator(x: Real, low: float, high: float) -> Real:
    """1 where low < x < high, else 0."""
    if isinstance(x, Symbol):
        inside = x.apply("Greater", low).apply("And", x.apply("Less", high))
        return Symbol(x.e, x.e.node("Cast", inside.name, to=TensorProto.FLOAT))
    return np.asarray((x > low) & (x < high), x.dtype)
