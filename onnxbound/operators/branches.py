"""Add, Sub, Sum, Mul and Concat: where branches of the graph meet."""

from dataclasses import dataclass

from onnxbound.operators import calculus
from onnxbound.operators.bilinear import Product
from onnxbound.operators.elementwise_affine import parse_add, parse_mul, parse_sub
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Operator, Shape, Tensor, Unsupported


@dataclass(frozen=True)
class Add(Affine):
    """The signed sum of activations of one shape.

    Attributes:
        signs: +1 or -1 per input.
    """

    signs: tuple[int, ...]

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(set(shapes)) > 1:
            raise Unsupported(f"it adds activations of different shapes: {', '.join(map(str, shapes))}")
        return shapes[0]

    def linear(self, *x: Tensor) -> Tensor:
        total = x[0] if self.signs[0] > 0 else -x[0]
        for sign, term in zip(self.signs[1:], x[1:], strict=True):
            total = total + term if sign > 0 else total - term
        return total

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The cotangent to every input."""
        return tuple(c if sign > 0 else -c for sign in self.signs)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """1 in each input."""
        return (1.0,) * len(shapes)


@dataclass(frozen=True)
class Concat(Affine):
    """Activations side by side.

    Attributes:
        axis: Axis of a row along which they stand.
    """

    axis: int

    def output_shape(self, *shapes: Shape) -> Shape:
        """Lengths add along the axis."""
        others = {(*shape[: self.axis], *shape[self.axis + 1 :]) for shape in shapes}
        if len(others) > 1 or self.axis >= len(shapes[0]):
            raise Unsupported(f"it joins activations whose shapes do not fit: {', '.join(map(str, shapes))}")
        total = sum(shape[self.axis] for shape in shapes)
        return (*shapes[0][: self.axis], total, *shapes[0][self.axis + 1 :])

    def linear(self, *x: Tensor) -> Tensor:
        return calculus.concatenate(x, self.axis + 1)

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The cotangent cut into the inputs' parts."""
        return tuple(calculus.split(c, [shape[self.axis] for shape in shapes], self.axis + 1))

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """1 in each input."""
        return (1.0,) * len(shapes)


def parse_sum(node: Node) -> Operator:
    """Add of two activations, or of an activation and a constant."""
    return Add((1, 1)) if node.activations() == 2 else parse_add(node)


def parse_difference(node: Node) -> Operator:
    """Sub of two activations, or of an activation and a constant."""
    return Add((1, -1)) if node.activations() == 2 else parse_sub(node)


def parse_product(node: Node) -> Operator:
    """Mul of two activations, or of an activation and a constant."""
    return Product() if node.activations() == 2 else parse_mul(node)


def parse_variadic_sum(node: Node) -> Operator:
    """Sum of any number of activations of one shape; others are spelled with Add."""
    return Add((1,) * node.activations())


def parse_concat(node: Node) -> Operator:
    """Concat of activations along an axis that is not the batch."""
    if any(value is not None for value in node.constants):
        raise Unsupported("it joins an activation with a constant")
    rank = len(node.shape()) + 1
    axis = int(node.attributes.get("axis", 1)) % rank - 1
    if axis < 0:
        raise Unsupported("it joins along the batch axis, so rows would not be independent")
    return Concat(axis)


PARSERS = {
    "Add": parse_sum,
    "Sub": parse_difference,
    "Mul": parse_product,
    "Sum": parse_variadic_sum,
    "Concat": parse_concat,
}
