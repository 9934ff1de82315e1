"""Sigmoid, Tanh, Gelu and other smooth functions of one number; [A]'s theorems are not about them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, pi, sqrt
from typing import ClassVar

import numpy as np

from onnxbound.operators import calculus as c
from onnxbound.operators.calculus import Real, Symbol
from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.gate import Gate
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Unsupported

Formula = Callable[[Real], Real]


@dataclass(frozen=True, eq=False)
class Smooth(Gate):
    """phi of each entry.

    Attributes:
        value: phi.
        derivative: phi'.
        constant: A Lipschitz constant of phi; inf where there is none.
        is_activation: Whether phi is an activation function, and not arithmetic such as a square root.
        breakpoints: Where phi' jumps.
    """

    value: Formula
    derivative: Formula
    constant: float
    is_activation: bool = True
    breakpoints: tuple[float, ...] = ()

    piecewise_linear: ClassVar[bool] = False

    def act(self, *x: Array) -> Array:
        """phi(x)."""
        return np.asarray(self.value(x[0]), x[0].dtype)

    def slope(self, x: Array) -> Array:
        """phi'(x)."""
        return np.asarray(self.derivative(x), x.dtype)

    def emit_act(self, e: Emitter, *x: Value) -> Value:
        """phi(x)."""
        return Value(_name(self.value(Symbol(e, x[0].name))), x[0].shape)

    def emit_slope(self, e: Emitter, x: Value) -> str:
        """phi'(x)."""
        return _name(self.derivative(Symbol(e, x.name)))

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """The constant."""
        return (self.constant,)


def _name(result: Real) -> str:
    assert isinstance(result, Symbol)
    return result.name


def _sigmoid_slope(x: Real) -> Real:
    s = c.sigmoid(x)
    return s * (1.0 - s)


def _tanh_slope(x: Real) -> Real:
    t = c.tanh(x)
    return 1.0 - t * t


def _normal_density(x: Real) -> Real:
    return c.exp(x * x * -0.5) * (1 / sqrt(2 * pi))


def _normal_mass(x: Real) -> Real:
    return (c.erf(x * (1 / sqrt(2))) + 1.0) * 0.5


_INNER = sqrt(2 / pi)
_CUBE = 0.044715


def _gelu_tanh(x: Real) -> Real:
    return x * 0.5 * (c.tanh((x + x * x * x * _CUBE) * _INNER) + 1.0)


def _gelu_tanh_slope(x: Real) -> Real:
    t = c.tanh((x + x * x * x * _CUBE) * _INNER)
    inner = (x * x * (3 * _CUBE) + 1.0) * _INNER
    return (t + 1.0) * 0.5 + x * 0.5 * (1.0 - t * t) * inner


def _swish_slope(alpha: float, x: Real) -> Real:
    s = c.sigmoid(x * alpha)
    return s + x * alpha * s * (1.0 - s)


def _mish_slope(x: Real) -> Real:
    t = c.tanh(c.softplus(x))
    return t + x * c.sigmoid(x) * (1.0 - t * t)


def _hard_swish(x: Real) -> Real:
    return x * c.clip(x * (1 / 6) + 0.5, 0.0, 1.0)


def _hard_swish_slope(x: Real) -> Real:
    return c.clip(x * (1 / 6) + 0.5, 0.0, 1.0) + x * (1 / 6) * c.indicator(x, -3.0, 3.0)


def _softsign_slope(x: Real) -> Real:
    return (c.absolute(x) + 1.0) ** -2.0


def _elu(scale: float, alpha: float, width: float, x: Real) -> Real:
    below = c.exp(_not_positive(x) * (1 / width)) - 1.0
    return c.where_positive(x, x * scale, below * (scale * alpha))


def _not_positive(x: Real) -> Real:
    """min(x, 0), so that the exponential of the branch not taken is finite."""
    return (x - c.absolute(x)) * 0.5


def _elu_slope(scale: float, alpha: float, width: float, x: Real) -> Real:
    below = c.exp(_not_positive(x) * (1 / width)) * (scale * alpha / width)
    return c.where_positive(x, x * 0.0 + scale, below)


def _fixed(
    value: Formula, derivative: Formula, constant: float, *, is_activation: bool = True, kinks: tuple[float, ...] = ()
) -> Callable[[Node], Operator]:
    def parse(node: Node) -> Operator:
        node.shape()
        return Smooth(value, derivative, constant, is_activation, kinks)

    return parse


def _exponential(kind: str) -> Callable[[Node], Operator]:
    """Elu: alpha (e^x - 1) below 0; Celu with x / alpha in the exponent; Selu all of it times gamma."""

    def parse(node: Node) -> Operator:
        node.shape()
        default = 1.6732632423543772 if kind == "Selu" else 1.0
        alpha = float(np.float32(node.attributes.get("alpha", default)))
        scale = float(np.float32(node.attributes.get("gamma", 1.0507009873554805))) if kind == "Selu" else 1.0
        width = alpha if kind == "Celu" else 1.0
        value, derivative = partial(_elu, scale, alpha, width), partial(_elu_slope, scale, alpha, width)
        kinks = () if scale * alpha / width == scale else (0.0,)
        return Smooth(value, derivative, scale * max(1.0, abs(alpha / width)), breakpoints=kinks)

    return parse


def parse_gelu(node: Node) -> Operator:
    """Gelu, exact or by its tanh approximation."""
    node.shape()
    if node.attributes.get("approximate", "none") == "tanh":
        return Smooth(_gelu_tanh, _gelu_tanh_slope, 1.13)
    return Smooth(lambda x: x * _normal_mass(x), lambda x: _normal_mass(x) + x * _normal_density(x), 1.13)


def parse_swish(node: Node) -> Operator:
    """x Sigmoid(alpha x); the derivative is at most 1.1 whatever alpha is."""
    node.shape()
    alpha = float(np.float32(node.attributes.get("alpha", 1.0)))
    return Smooth(lambda x: x * c.sigmoid(x * alpha), partial(_swish_slope, alpha), 1.1)


def parse_pow(node: Node) -> Operator:
    """Pow by a constant exponent."""
    node.shape()
    exponent = node.constant(1)
    if exponent is None or np.size(exponent) != 1:
        raise Unsupported("its exponent is not one constant number")
    power = float(np.ravel(exponent)[0])
    return Smooth(lambda x: x**power, lambda x: x ** (power - 1) * power, inf, is_activation=False)


PARSERS: dict[str, Callable[[Node], Operator]] = {
    "Sigmoid": _fixed(c.sigmoid, _sigmoid_slope, 0.25),
    "Tanh": _fixed(c.tanh, _tanh_slope, 1.0),
    "Erf": _fixed(c.erf, lambda x: c.exp(-(x * x)) * (2 / sqrt(pi)), 2 / sqrt(pi)),
    "Softplus": _fixed(c.softplus, c.sigmoid, 1.0),
    "Softsign": _fixed(lambda x: x / (c.absolute(x) + 1.0), _softsign_slope, 1.0),
    "Gelu": parse_gelu,
    "Swish": parse_swish,
    "Mish": _fixed(lambda x: x * c.tanh(c.softplus(x)), _mish_slope, 1.09),
    "HardSwish": _fixed(_hard_swish, _hard_swish_slope, 1.5, kinks=(-3.0, 3.0)),
    "Elu": _exponential("Elu"),
    "Celu": _exponential("Celu"),
    "Selu": _exponential("Selu"),
    "Exp": _fixed(c.exp, c.exp, inf, is_activation=False),
    "Log": _fixed(c.log, lambda x: 1.0 / x, inf, is_activation=False),
    "Sqrt": _fixed(lambda x: x**0.5, lambda x: (x**-0.5) * 0.5, inf, is_activation=False),
    "Reciprocal": _fixed(lambda x: 1.0 / x, lambda x: -1.0 / (x * x), inf, is_activation=False),
    "Pow": parse_pow,
}
