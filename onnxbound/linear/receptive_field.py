"""Receptive fields: the positions of an earlier tensor that a position of a later one can depend on.

Columns of a Jacobian that have no row in common can be summed before the product: their images do not overlap in the
result, so one product gives the squared norms of all of them (Curtis, Powell and Reid 1974, for norms instead of
entries). In a convolutional net, columns of one channel have no row in common if no receptive field contains both
their positions, and rows have no column in common if their receptive fields are disjoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from onnxbound.graph.layer import Step
from onnxbound.graph.network import Network
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.branches import Add, Concat
from onnxbound.operators.conv import Conv
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.gate import Gate
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.operator import Shape
from onnxbound.operators.windows import Windows


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Position o of a tensor sees the positions o * jump + first to o * jump + last of the source, on every axis.

    Attributes:
        jump: Distance in the source of the fields of neighbouring positions, per spatial axis.
        first: Where the field of position 0 begins, possibly in the padding.
        last: Where it ends.
    """

    jump: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]

    def behind(self, windows: Windows) -> Self:
        """The field of a position after a convolution or a pooling."""
        axes = tuple(zip(self.jump, self.first, self.last, windows.begin, windows.span, windows.strides, strict=True))
        return type(self)(
            tuple(jump * stride for jump, _, _, _, _, stride in axes),
            tuple(first - jump * begin for jump, first, _, begin, _, _ in axes),
            tuple(last + jump * (span - 1 - begin) for jump, _, last, begin, span, _ in axes),
        )

    def joined(self, other: Self) -> Self:
        """The smallest field that contains both, which have the same jump."""
        return type(self)(self.jump, tuple(map(min, self.first, other.first)), tuple(map(max, self.last, other.last)))

    def column_spacing(self) -> tuple[int, ...]:
        """The smallest distance at which no field contains two positions of the source."""
        return tuple(last - first + 1 for first, last in zip(self.first, self.last, strict=True))

    def row_spacing(self) -> tuple[int, ...]:
        """The smallest distance at which two positions of the tensor have disjoint fields."""
        return tuple(-(-length // jump) for length, jump in zip(self.column_spacing(), self.jump, strict=True))


def receptive_fields(network: Network, source: str) -> Mapping[str, ReceptiveField | None]:
    """Fields in a tensor `(c, *size)` of every tensor that a path leads to; None where a position may see all of it."""
    axes = len(network.shapes[source]) - 1
    start = ReceptiveField((1,) * axes, (0,) * axes, (0,) * axes)
    fields: dict[str, ReceptiveField | None] = {source: start if axes else None}
    for step in network.steps:
        if step.output == source or fields.keys().isdisjoint(step.inputs):
            continue
        fields[step.output] = _behind(step, [fields[name] for name in step.inputs if name in fields])
    return fields


def column_spacing(shape: Shape, field: ReceptiveField | None) -> Shape:
    """Distance per axis of a source of this shape at which columns may share a product; channels never do."""
    return shape if field is None else (shape[0], *map(min, shape[1:], field.column_spacing()))


def row_spacing(shape: Shape, field: ReceptiveField | None) -> Shape:
    """Distance per axis of a target of this shape at which rows may share a product; channels never do."""
    return shape if field is None else (shape[0], *map(min, shape[1:], field.row_spacing()))


def _behind(step: Step, fields: list[ReceptiveField | None]) -> ReceptiveField | None:
    """The field behind one operator."""
    known = [field for field in fields if field is not None]
    if len(known) < len(fields) or len({field.jump for field in known}) > 1:
        return None
    operator, field = step.operator, known[0]
    for other in known[1:]:
        field = field.joined(other)
    if isinstance(operator, Conv | MaxPool | AveragePool):
        return field.behind(operator.windows)
    keeps_positions = isinstance(operator, Gate | ElementwiseAffine | Add) or (
        isinstance(operator, Concat) and operator.axis == 0
    )
    return field if keeps_positions else None
