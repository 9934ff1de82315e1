"""Sigmoid, Tanh, Gelu and other smooth functions of one number; [A]'s theorems are not about them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf, pi, sqrt
from typing import ClassVar

import numpy as np

from onnxbound.operators import calculus as c
from onnxbound.operators.gate import Gate
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Operator, Shape, Tensor, Unsupported

Formula = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Smooth(Gate):
    """phi of each entry.

    Attributes:
        value: phi.
        derivative: phi'.
        constant: A Lipschitz constant of phi; inf where there is none.
        is_activation: Whether phi is an activation function, and not arithmetic such as a square root.
        breakpoints: Where phi' jumps.
        form: Its key in `FORMS`.
        numbers: Arguments of the form.
    """

    value: Formula
    derivative: Formula
    constant: float
    is_activation: bool = True
    breakpoints: tuple[float, ...] = ()
    form: str = ""
    numbers: tuple[float, ...] = ()

    piecewise_linear: ClassVar[bool] = False

    def act(self, *x: Tensor) -> Tensor:
        return self.value(x[0])

    def slope(self, x: Tensor) -> Tensor:
        return self.derivative(x)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (self.constant,)


def _sigmoid_slope(x: Tensor) -> Tensor:
    s = c.sigmoid(x)
    return s * (1.0 - s)


def _tanh_slope(x: Tensor) -> Tensor:
    t = np.tanh(x)
    return 1.0 - t * t


def _normal_density(x: Tensor) -> Tensor:
    return np.exp(x * x * -0.5) * (1 / sqrt(2 * pi))


def _normal_mass(x: Tensor) -> Tensor:
    return (c.erf(x * (1 / sqrt(2))) + 1.0) * 0.5


_INNER = sqrt(2 / pi)
_CUBE = 0.044715


def _gelu_tanh(x: Tensor) -> Tensor:
    return x * 0.5 * (np.tanh((x + x * x * x * _CUBE) * _INNER) + 1.0)


def _gelu_tanh_slope(x: Tensor) -> Tensor:
    t = np.tanh((x + x * x * x * _CUBE) * _INNER)
    inner = (x * x * (3 * _CUBE) + 1.0) * _INNER
    return (t + 1.0) * 0.5 + x * 0.5 * (1.0 - t * t) * inner


def _swish_slope(alpha: float, x: Tensor) -> Tensor:
    s = c.sigmoid(x * alpha)
    return s + x * alpha * s * (1.0 - s)


def _mish_slope(x: Tensor) -> Tensor:
    t = np.tanh(c.softplus(x))
    return t + x * c.sigmoid(x) * (1.0 - t * t)


def _hard_swish(x: Tensor) -> Tensor:
    return x * c.clip(x * (1 / 6) + 0.5, 0.0, 1.0)


def _hard_swish_slope(x: Tensor) -> Tensor:
    return c.clip(x * (1 / 6) + 0.5, 0.0, 1.0) + x * (1 / 6) * c.inside(x, -3.0, 3.0)


def _softsign_slope(x: Tensor) -> Tensor:
    return (np.absolute(x) + 1.0) ** -2.0


def _elu(scale: float, alpha: float, width: float, x: Tensor) -> Tensor:
    below = np.exp(_not_positive(x) * (1 / width)) - 1.0
    return c.where(x > 0, x * scale, below * (scale * alpha))


def _not_positive(x: Tensor) -> Tensor:
    """min(x, 0), so that the exponential of the branch not taken is finite."""
    return (x - np.absolute(x)) * 0.5


def _elu_slope(scale: float, alpha: float, width: float, x: Tensor) -> Tensor:
    below = np.exp(_not_positive(x) * (1 / width)) * (scale * alpha / width)
    return c.where(x > 0, x * 0.0 + scale, below)


def _exponential(scale: float, alpha: float, width: float) -> Smooth:
    """scale alpha (e^(x / width) - 1) below 0, scale x above."""
    value, derivative = partial(_elu, scale, alpha, width), partial(_elu_slope, scale, alpha, width)
    kinks = () if scale * alpha / width == scale else (0.0,)
    return Smooth(value, derivative, scale * max(1.0, abs(alpha / width)), breakpoints=kinks)


def _power(power: float) -> Smooth:
    return Smooth(lambda x: x**power, lambda x: x ** (power - 1) * power, inf, is_activation=False)


def _swish(alpha: float) -> Smooth:
    """The derivative is at most 1.1 whatever alpha is."""
    return Smooth(lambda x: x * c.sigmoid(x * alpha), partial(_swish_slope, alpha), 1.1)


_ARITHMETIC = partial(Smooth, constant=inf, is_activation=False)

FORMS: dict[str, Callable[..., Smooth]] = {
    "Sigmoid": partial(Smooth, c.sigmoid, _sigmoid_slope, 0.25),
    "Tanh": partial(Smooth, np.tanh, _tanh_slope, 1.0),
    "Erf": partial(Smooth, c.erf, lambda x: np.exp(-(x * x)) * (2 / sqrt(pi)), 2 / sqrt(pi)),
    "Softplus": partial(Smooth, c.softplus, c.sigmoid, 1.0),
    "Softsign": partial(Smooth, lambda x: x / (np.absolute(x) + 1.0), _softsign_slope, 1.0),
    "Gelu": partial(Smooth, lambda x: x * _normal_mass(x), lambda x: _normal_mass(x) + x * _normal_density(x), 1.13),
    "GeluTanh": partial(Smooth, _gelu_tanh, _gelu_tanh_slope, 1.13),
    "Swish": _swish,
    "Mish": partial(Smooth, lambda x: x * np.tanh(c.softplus(x)), _mish_slope, 1.09),
    "HardSwish": partial(Smooth, _hard_swish, _hard_swish_slope, 1.5, breakpoints=(-3.0, 3.0)),
    "Elu": _exponential,
    "Exp": partial(_ARITHMETIC, np.exp, np.exp),
    "Log": partial(_ARITHMETIC, np.log, lambda x: 1.0 / x),
    "Sqrt": partial(_ARITHMETIC, lambda x: x**0.5, lambda x: (x**-0.5) * 0.5),
    "Reciprocal": partial(_ARITHMETIC, lambda x: 1.0 / x, lambda x: -1.0 / (x * x)),
    "Pow": _power,
}
"""What each function is called, and what makes it from its numbers."""


def smooth(form: str, *numbers: float) -> Smooth:
    """The function of that form and of those numbers."""
    return replace(FORMS[form](*numbers), form=form, numbers=numbers)


def _parser(form: str, read: Callable[[Node], tuple[float, ...]] = lambda _: ()) -> Callable[[Node], Operator]:
    def parse(node: Node) -> Operator:
        node.shape()
        return smooth(form, *read(node))

    return parse


def _number(node: Node, name: str, default: float) -> float:
    return float(np.float32(node.attributes.get(name, default)))


def _selu(node: Node) -> tuple[float, float, float]:
    return _number(node, "gamma", 1.0507009873554805), _number(node, "alpha", 1.6732632423543772), 1.0


def _celu(node: Node) -> tuple[float, float, float]:
    alpha = _number(node, "alpha", 1.0)
    return 1.0, alpha, alpha


def _exponent(node: Node) -> tuple[float]:
    exponent = node.constant(1)
    if exponent is None or np.size(exponent) != 1:
        raise Unsupported("its exponent is not one constant number")
    return (float(np.ravel(exponent)[0]),)


def parse_gelu(node: Node) -> Operator:
    """Gelu, exact or by its tanh approximation."""
    node.shape()
    return smooth("GeluTanh" if node.attributes.get("approximate", "none") == "tanh" else "Gelu")


_NUMBERS: dict[str, Callable[[Node], tuple[float, ...]]] = {
    "Swish": lambda node: (_number(node, "alpha", 1.0),),
    "Elu": lambda node: (1.0, _number(node, "alpha", 1.0), 1.0),
    "Pow": _exponent,
}

PARSERS: dict[str, Callable[[Node], Operator]] = {
    **{form: _parser(form, _NUMBERS.get(form, lambda _: ())) for form in FORMS if not form.startswith("Gelu")},
    "Gelu": parse_gelu,
    "Celu": _parser("Elu", _celu),
    "Selu": _parser("Elu", _selu),
}
