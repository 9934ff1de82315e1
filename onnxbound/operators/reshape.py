"""Reshape, Flatten, Squeeze and Unsqueeze: the same entries in another shape."""

from dataclasses import dataclass
from math import prod

import numpy as np

from onnxbound.operators.mean import row_axes
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Operator, Shape, Tensor, Unsupported


@dataclass(frozen=True)
class Reshape(Affine):
    """The entries of a row, in ONNX's C order, in the shape `target`."""

    target: Shape

    def output_shape(self, *shapes: Shape) -> Shape:
        if prod(shapes[0]) != prod(self.target):
            raise Unsupported(f"a row of shape {shapes[0]} cannot take the shape {self.target}")
        return self.target

    def linear(self, *x: Tensor) -> Tensor:
        return x[0].reshape(x[0].shape[0], *self.target)

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The same entries, in the shape they had."""
        return (c.reshape(c.shape[0], *shapes[0]),)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        return (1.0,)


def parse_reshape(node: Node) -> Operator:
    """Reshape to a shape that is an attribute (below opset 5) or a constant, possibly folded from shape arithmetic."""
    shape = (node.batch, *node.shape())
    wanted = node.option(1, "shape", None)
    if wanted is None:
        raise Unsupported("its target shape depends on the rows")
    target = [int(n) for n in np.ravel(wanted)]
    if not node.attributes.get("allowzero", 0):
        if any(n == 0 and axis >= len(shape) for axis, n in enumerate(target)):
            raise Unsupported(f"the target {target} copies an axis that the input does not have")
        target = [shape[axis] if n == 0 else n for axis, n in enumerate(target)]
    if target.count(-1) == 1:
        known = prod(n for n in target if n != -1)
        if known == 0 or prod(shape) % known:
            raise Unsupported(f"a batch of shape {shape} cannot take the shape {target}")
        target[target.index(-1)] = prod(shape) // known
    if not target or target[0] != node.batch or prod(target) != prod(shape) or min(target) < 1:
        raise Unsupported(f"it reshapes a batch {shape} to {tuple(target)}, which mixes the rows")
    return Reshape(tuple(target[1:]))


def parse_flatten(node: Node) -> Operator:
    """Flatten behind the batch axis."""
    rank = len(node.shape()) + 1
    if int(node.attributes.get("axis", 1)) % rank != 1:
        raise Unsupported("it flattens at another axis than the one behind the batch")
    return Reshape((prod(node.shape()),))


def parse_squeeze(node: Node) -> Operator:
    """Squeeze of axes of length 1."""
    shape = node.shape()
    axes = node.option(1, "axes", None)
    if axes is None:
        if node.batch == 1:
            raise Unsupported("it would drop the batch axis as well", "export with explicit axes")
        dropped = tuple(axis for axis, n in enumerate(shape) if n == 1)
    else:
        dropped = row_axes(axes, len(shape))
    if any(shape[axis] != 1 for axis in dropped):
        raise Unsupported(f"it drops an axis of a row of shape {shape} that is not of length 1")
    return Reshape(tuple(n for axis, n in enumerate(shape) if axis not in dropped))


def parse_unsqueeze(node: Node) -> Operator:
    """Unsqueeze: axes of length 1 are inserted."""
    shape = node.shape()
    axes = np.ravel(node.option(1, "axes", ()))
    added = row_axes(axes, len(shape) + len(axes))
    rest = iter(shape)
    return Reshape(tuple(1 if axis in added else next(rest) for axis in range(len(shape) + len(axes))))


PARSERS = {
    "Reshape": parse_reshape,
    "Flatten": parse_flatten,
    "Squeeze": parse_squeeze,
    "Unsqueeze": parse_unsqueeze,
}
