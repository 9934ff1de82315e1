"""Add, Sub, Mul and Div with a constant, and BatchNormalization: a scale and a shift per entry."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Operator, Shape, Tensor, Unsupported


@dataclass(frozen=True, eq=False)
class ElementwiseAffine(Affine):
    """`x -> scale x + shift`.

    Attributes:
        scale: Float64, broadcast against one row: rank at most that of the row.
        shift: The same for the shift.
        trained: How many trained numbers of the file it stands for.
    """

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    trained: int

    def output_shape(self, *shapes: Shape) -> Shape:
        """The input's shape; constants that would enlarge it are refused."""
        (shape,) = shapes
        for constant in (self.scale, self.shift):
            try:
                fits = np.broadcast_shapes(constant.shape, shape) == shape
            except ValueError:
                fits = False
            if not fits:
                raise Unsupported(f"a constant of shape {constant.shape} does not broadcast to a row of shape {shape}")
        return shape

    def linear(self, *x: Tensor) -> Tensor:
        return np.multiply(x[0], self.scale)

    def add_shift(self, y: Tensor) -> Tensor:
        y += self.shift
        return y

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (np.multiply(c, self.scale),)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """max |scale|, the exact norm."""
        return (float(np.abs(self.scale).max()),)

    def cast(self, dtype: DTypeLike) -> Self:
        """The map with its constants rounded to `dtype`."""
        return replace(self, scale=self.scale.astype(dtype), shift=self.shift.astype(dtype))


def _row_constant(node: Node, index: int, rank: int) -> NDArray[np.float64]:
    """A constant that broadcasts against `(batch, *row)`, without its batch axis."""
    value = node.floating(index)
    assert value is not None
    if value.ndim > rank:
        if value.ndim > rank + 1 or value.shape[0] != 1:
            raise Unsupported(f"a constant of shape {value.shape} differs from row to row or adds axes")
        value = value[0]
    return value.astype(np.float64)


def _parse_sum(node: Node, sign: float) -> Operator:
    if node.constant(1) is not None:
        shift = sign * _row_constant(node, 1, len(node.shape(0)))
        return ElementwiseAffine(np.ones(()), shift, shift.size)
    shift = _row_constant(node, 0, len(node.shape(1)))
    return ElementwiseAffine(np.array(sign), shift, shift.size)


def parse_add(node: Node) -> Operator:
    """Add of a constant."""
    return _parse_sum(node, 1.0)


def parse_sub(node: Node) -> Operator:
    """Sub of a constant, or from one."""
    return _parse_sum(node, -1.0)


def parse_mul(node: Node) -> Operator:
    """Mul with a constant."""
    index = 0 if node.constant(0) is not None else 1
    scale = _row_constant(node, index, len(node.shape(1 - index)))
    return ElementwiseAffine(scale, np.zeros(()), scale.size)


def parse_div(node: Node) -> Operator:
    """Div by a constant."""
    if node.constant(1) is None:
        raise Unsupported("it divides by an activation, which is not piecewise linear")
    divisor = _row_constant(node, 1, len(node.shape(0)))
    if not np.all(divisor):
        raise Unsupported("it divides by zero")
    return ElementwiseAffine(1 / divisor, np.zeros(()), divisor.size)


def parse_neg(node: Node) -> Operator:
    """Neg."""
    node.shape()
    return ElementwiseAffine(np.array(-1.0), np.zeros(()), 0)


def parse_batch_normalization(node: Node) -> Operator:
    """BatchNormalization at inference: `scale (x - mean) / sqrt(var + epsilon) + bias` per channel.

    Before opset 9, spatial=0 stands for one of each per entry of a row.
    """
    if node.attributes.get("training_mode", 0):
        raise Unsupported(
            "it is in training mode, so a row's output depends on the other rows of its batch",
            "export the model in inference (eval) mode",
        )
    values = [node.floating(index) for index in range(1, 5)]
    if any(value is None for value in values):
        raise Unsupported("its statistics are not constants")
    weight, bias, mean, variance = (np.asarray(value, np.float64).ravel() for value in values)
    # onnxruntime reads the attribute as float32.
    scale = weight / np.sqrt(variance + float(np.float32(node.attributes.get("epsilon", 1e-5))))
    shape = node.shape() if node.attributes.get("spatial", 1) == 0 else (-1, *(1,) * (len(node.shape()) - 1))
    return ElementwiseAffine(scale.reshape(shape), (bias - mean * scale).reshape(shape), weight.size + bias.size)


PARSERS = {"Div": parse_div, "Neg": parse_neg, "BatchNormalization": parse_batch_normalization}
