"""Products of two activations: Mul, and MatMul along the last axes. [A]'s theorems are not about them."""

from abc import abstractmethod
from dataclasses import dataclass
from math import inf, prod
from typing import ClassVar

import numpy as np

from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.operator import Array, Operator, Shape, Unsupported


class Bilinear(Operator):
    """B(x, y), linear in x and in y; its state is x and y, flat and side by side."""

    piecewise_linear: ClassVar[bool] = False

    @abstractmethod
    def product(self, x: Array, y: Array) -> Array:
        """B(x, y); leading axes broadcast."""

    @abstractmethod
    def adjoints(self, c: Array, x: Array, y: Array) -> tuple[Array, Array]:
        """(g, h) with <c, B(t, y)> = <g, t> and <c, B(x, t)> = <h, t>."""

    @abstractmethod
    def emit_product(self, e: Emitter, x: str, y: str) -> str:
        """Write `product`."""

    @abstractmethod
    def emit_adjoints(self, e: Emitter, c: str, x: Value, y: Value) -> tuple[str, str]:
        """Write `adjoints`, x and y without streams, c with."""

    def _factors(self, state: Array | None, shapes: tuple[Shape, ...]) -> tuple[Array, Array]:
        assert state is not None
        first = prod(shapes[0])
        x, y = state[:, :first], state[:, first:]
        return x.reshape(len(state), *shapes[0]), y.reshape(len(state), *shapes[1])

    def act(self, *x: Array) -> Array:
        return self.product(*x)

    def linearise(self, *x: Array) -> Array:
        return np.concatenate([value.reshape(len(value), prod(value.shape[1:])) for value in x], axis=1)

    def jvp(self, state: Array | None, *t: Array) -> Array:
        """B(t, y) + B(x, u)."""
        x, y = self._factors(state, tuple(value.shape[2:] for value in t))
        return self.product(t[0], y) + self.product(x, t[1])

    def vjp(self, state: Array | None, c: Array, *shapes: Shape) -> tuple[Array, ...]:
        """The adjoints at c."""
        return self.adjoints(c, *self._factors(state, shapes))

    def residual(self, state: Array | None, x: tuple[Array, ...], t: tuple[Array, ...], w: tuple[Array, ...]) -> Array:
        """B(w, y) + B(x, v) + B(t + w, u + v), with (t, w) before the first factor and (u, v) before the second."""
        first, second = t[0] + w[0], t[1] + w[1]
        return self.product(w[0], x[1]) + self.product(x[0], w[1]) + self.product(first, second)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (inf, inf)

    def emit_act(self, e: Emitter, *x: Value) -> Value:
        return Value(self.emit_product(e, x[0].name, x[1].name), self.output_shape(x[0].shape, x[1].shape))

    def emit_linearise(self, e: Emitter, *x: Value) -> str:
        return e.node("Concat", *(e.reshape(value.name, -1, prod(value.shape)) for value in x), axis=1)

    def _emit_factors(self, e: Emitter, state: str, shapes: tuple[Shape, ...]) -> tuple[Value, Value]:
        lengths = e.integers(*map(prod, shapes))
        x, y = e.outputs(2, "Split", state, lengths, axis=1)
        return Value(e.reshape(x, -1, *shapes[0]), shapes[0]), Value(e.reshape(y, -1, *shapes[1]), shapes[1])

    def emit_jvp(self, e: Emitter, state: str, streams: int, *t: Value) -> Value:
        """B(t, y) + B(x, u)."""
        shapes = (t[0].shape, t[1].shape)
        x, y = self._emit_factors(e, state, shapes)
        total = e.node("Add", self.emit_product(e, t[0].name, y.name), self.emit_product(e, x.name, t[1].name))
        return Value(total, self.output_shape(*shapes))

    def emit_vjp(self, e: Emitter, state: str, streams: int, c: Value, *shapes: Shape) -> tuple[Value, ...]:
        """The adjoints at c."""
        x, y = self._emit_factors(e, state, shapes)
        g, h = self.emit_adjoints(e, c.name, x, y)
        return Value(g, shapes[0]), Value(h, shapes[1])

    def emit_residual(
        self, e: Emitter, state: str, streams: int, x: tuple[Value, ...], t: tuple[Value, ...], w: tuple[Value, ...]
    ) -> Value:
        first, second = (e.node("Add", a.name, b.name) for a, b in zip(t, w, strict=True))
        linear = e.node("Add", self.emit_product(e, w[0].name, x[1].name), self.emit_product(e, x[0].name, w[1].name))
        total = e.node("Add", linear, self.emit_product(e, first, second))
        return Value(total, self.output_shape(x[0].shape, x[1].shape))


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

    def product(self, x: Array, y: Array) -> Array:
        return np.multiply(x, y)

    def adjoints(self, c: Array, x: Array, y: Array) -> tuple[Array, Array]:
        """C y and c x, added up over the axes that were broadcast."""
        return _summed(c * y, x.shape[1:]), _summed(c * x, y.shape[1:])

    def emit_product(self, e: Emitter, x: str, y: str) -> str:
        return e.node("Mul", x, y)

    def emit_adjoints(self, e: Emitter, c: str, x: Value, y: Value) -> tuple[str, str]:
        """C y and c x, added up over the axes that were broadcast."""
        whole = self.output_shape(x.shape, y.shape)

        def summed(name: str, shape: Shape) -> str:
            axes = [axis + 2 for axis, (n, m) in enumerate(zip(shape, whole, strict=True)) if n != m]
            return e.node("ReduceSum", name, e.integers(*axes), keepdims=1) if axes else name

        return summed(e.node("Mul", c, y.name), x.shape), summed(e.node("Mul", c, x.name), y.shape)


def _summed(values: Array, shape: Shape) -> Array:
    axes = tuple(axis + 2 for axis, (n, m) in enumerate(zip(shape, values.shape[2:], strict=True)) if n != m)
    return np.asarray(values.sum(axis=axes, keepdims=True)) if axes else values


@dataclass(frozen=True)
class MatrixProduct(Bilinear):
    """X Y over the last two axes of each."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """`(..., i, k)` from `(..., i, j)` and `(..., j, k)`."""
        x, y = shapes
        if min(len(x), len(y)) < 2 or x[:-2] != y[:-2] or x[-1] != y[-2]:
            raise Unsupported(f"it multiplies activations whose shapes {x} and {y} are not stacks of matrices that fit")
        return (*x[:-1], y[-1])

    def product(self, x: Array, y: Array) -> Array:
        return np.asarray(np.matmul(x, y))

    def adjoints(self, c: Array, x: Array, y: Array) -> tuple[Array, Array]:
        """C Y^T and X^T C."""
        return np.matmul(c, y.swapaxes(-1, -2)), np.matmul(x.swapaxes(-1, -2), c)

    def emit_product(self, e: Emitter, x: str, y: str) -> str:
        return e.node("MatMul", x, y)

    def emit_adjoints(self, e: Emitter, c: str, x: Value, y: Value) -> tuple[str, str]:
        """C Y^T and X^T C."""
        rank = len(x.shape)
        order = (*range(rank - 1), rank, rank - 1)
        x_turned, y_turned = (e.node("Transpose", value.name, perm=order) for value in (x, y))
        return e.node("MatMul", c, y_turned), e.node("MatMul", x_turned, c)
