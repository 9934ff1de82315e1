"""Softmax in the middle of a net, as in attention; [A]'s theorems are not about it."""

from dataclasses import dataclass
from typing import ClassVar

from onnxbound.operators import calculus
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Operator, Shape, Tensor, Unsupported


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

    def act(self, *x: Tensor) -> Tensor:
        return calculus.softmax(x[0], self.axis)

    def linearise(self, *x: Tensor) -> Tensor:
        return self.act(*x)

    def jvp(self, state: Tensor, *t: Tensor) -> Tensor:
        """p (t - <p, t>)."""
        weighted = state * t[0]
        return weighted - state * weighted.sum(axis=self.axis, keepdims=True)

    def vjp(self, state: Tensor, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The same: the Jacobian is symmetric."""
        return (self.jvp(state, c),)

    def residual(self, state: Tensor, x: tuple[Tensor, ...], t: tuple[Tensor, ...], w: tuple[Tensor, ...]) -> Tensor:
        """The difference itself: nothing is large here, for all entries lie between 0 and 1."""
        return self.act(x[0] + t[0] + w[0]) - state - self.jvp(state, *t)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """1/2, the largest norm of diag(p) - p p^T."""
        return (0.5,)


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
