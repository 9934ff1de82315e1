"""Products of two activations: Mul, and MatMul along the last axes. [A]'s theorems are not about them."""

from abc import abstractmethod
from dataclasses import dataclass
from math import inf, prod
from typing import ClassVar

import numpy as np

from onnxbound.operators import calculus
from onnxbound.operators.operator import Operator, Shape, Tensor, Unsupported


class Bilinear(Operator):
    """B(x, y), linear in x and in y; its state is x and y, flat and side by side."""

    piecewise_linear: ClassVar[bool] = False

    @abstractmethod
    def product(self, x: Tensor, y: Tensor) -> Tensor:
        """B(x, y); leading axes broadcast."""

    @abstractmethod
    def adjoints(self, c: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(g, h) with <c, B(t, y)> = <g, t> and <c, B(x, t)> = <h, t>."""

    def _factors(self, state: Tensor, shapes: tuple[Shape, ...]) -> tuple[Tensor, Tensor]:
        x, y = calculus.split(state, [*map(prod, shapes)], 1)
        return x.reshape(state.shape[0], *shapes[0]), y.reshape(state.shape[0], *shapes[1])

    def act(self, *x: Tensor) -> Tensor:
        return self.product(*x)

    def linearise(self, *x: Tensor) -> Tensor:
        return calculus.concatenate([value.reshape(value.shape[0], prod(value.shape[1:])) for value in x], 1)

    def jvp(self, state: Tensor, *t: Tensor) -> Tensor:
        """B(t, y) + B(x, u)."""
        x, y = self._factors(state, tuple(value.shape[2:] for value in t))
        return self.product(t[0], y) + self.product(x, t[1])

    def vjp(self, state: Tensor, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The adjoints at c."""
        return self.adjoints(c, *self._factors(state, shapes))

    def residual(self, state: Tensor, x: tuple[Tensor, ...], t: tuple[Tensor, ...], w: tuple[Tensor, ...]) -> Tensor:
        """B(w, y) + B(x, v) + B(t + w, u + v), with (t, w) before the first factor and (u, v) before the second."""
        first, second = t[0] + w[0], t[1] + w[1]
        return self.product(w[0], x[1]) + self.product(x[0], w[1]) + self.product(first, second)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (inf, inf)


@dataclass(frozen=True)
class Product(Bilinear):
    """Entry by entry; axes of length 1 broadcast."""

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != len(shapes[1]):
            raise Unsupported(f"it multiplies activations of {len(shapes[0])} and {len(shapes[1])} axes")
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError as error:
            raise Unsupported(f"it multiplies activations of the shapes {shapes[0]} and {shapes[1]}") from error

    def product(self, x: Tensor, y: Tensor) -> Tensor:
        return np.multiply(x, y)

    def adjoints(self, c: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """C y and c x, added up over the axes that were broadcast."""
        return _summed(c * y, x.shape[1:]), _summed(c * x, y.shape[1:])


def _summed(values: Tensor, shape: Shape) -> Tensor:
    axes = tuple(axis + 2 for axis, (n, m) in enumerate(zip(shape, values.shape[2:], strict=True)) if n != m)
    return values.sum(axis=axes, keepdims=True) if axes else values


@dataclass(frozen=True)
class MatrixProduct(Bilinear):
    """X Y over the last two axes of each."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """`(..., i, k)` from `(..., i, j)` and `(..., j, k)`."""
        x, y = shapes
        if min(len(x), len(y)) < 2 or x[:-2] != y[:-2] or x[-1] != y[-2]:
            raise Unsupported(f"it multiplies activations whose shapes {x} and {y} are not stacks of matrices that fit")
        return (*x[:-1], y[-1])

    def product(self, x: Tensor, y: Tensor) -> Tensor:
        return np.matmul(x, y)

    def adjoints(self, c: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """C Y^T and X^T C."""
        return np.matmul(c, y.swapaxes(-1, -2)), np.matmul(x.swapaxes(-1, -2), c)
