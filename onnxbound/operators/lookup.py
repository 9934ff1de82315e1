"""Gather from a constant table by entries of the rows, and one-hot codes of them: what stands before the first layer.

Integers have no derivative, so no tangent passes here: everything is measured from the embedding on.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Self

import numpy as np
from numpy.typing import DTypeLike
from onnx import TensorProto

from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Unsupported

LARGEST_INDEX = 1 << 24
"""Rows are float32 where they are measured, which holds integers up to here."""

LARGEST_CODE = 1 << 13

ONE_HOT = "onnxbound::Equal"
"""What the passes call an Equal that makes codes."""


@dataclass(frozen=True, eq=False)
class Lookup(Operator):
    """`x -> table[x]`, for integers x.

    Attributes:
        table: `(v, *entry)`; `(v, h)` with codes.
        codes: Whether the table was multiplied by one-hot codes. Then x ends in an axis of length 1, which is removed,
            and an integer outside 0 to v - 1 gives zeros. Otherwise -1 to -v count from the end, and the runtime
            refuses all others.
    """

    table: Array
    codes: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        """An entry in place of every integer."""
        (shape,) = shapes
        return (*self._indices(shape), *self.table.shape[1:])

    def act(self, *x: Array) -> Array:
        """The entries."""
        index, size = x[0].astype(np.int64), len(self.table)
        if not self.codes:
            entries: Array = np.take(self.table, np.where(index < 0, index + size, index), axis=0, mode="clip")
            return entries
        known = (index >= 0) & (index < size)
        found: Array = np.take(self.table, np.where(known, index, 0)[..., 0], axis=0)
        found *= known
        return found

    def linearise(self, *x: Array) -> None:
        """Nothing."""

    def jvp(self, state: Array | None, *t: Array) -> Array:
        """Zero."""
        return np.zeros((*t[0].shape[:2], *self.output_shape(t[0].shape[2:])), t[0].dtype)

    def vjp(self, state: Array | None, c: Array, *shapes: Shape) -> tuple[Array, ...]:
        """Zero."""
        return (np.zeros((*c.shape[:2], *shapes[0]), c.dtype),)

    def residual(self, state: Array | None, x: tuple[Array, ...], t: tuple[Array, ...], w: tuple[Array, ...]) -> Array:
        """Zero."""
        return self.jvp(state, *t)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """None: the entries of a table jump."""
        return (inf,)

    def cast(self, dtype: DTypeLike) -> Self:
        """The table rounded to `dtype`."""
        return replace(self, table=self.table.astype(dtype))

    def emit_act(self, e: Emitter, *x: Value) -> Value:
        """Gather; where codes are meant a row of zeros stands behind the table."""
        shape = self.output_shape(x[0].shape)
        index = e.node("Cast", e.reshape(x[0].name, -1, *self._indices(x[0].shape)), to=TensorProto.INT64)
        table = self.table
        if self.codes:
            table, last = np.concatenate([table, np.zeros_like(table[:1])]), e.integers(len(table))
            known = e.node("And", e.node("GreaterOrEqual", index, e.integers(0)), e.node("Less", index, last))
            index = e.node("Where", known, index, last)
        return Value(e.node("Gather", e.constant(table), index), shape)

    def emit_linearise(self, e: Emitter, *x: Value) -> str:
        """Nothing."""
        del e, x
        return ""

    def emit_jvp(self, e: Emitter, state: str, streams: int, *t: Value) -> Value:
        """Zero."""
        return self._zeros(e, t[0], self.output_shape(t[0].shape))

    def emit_vjp(self, e: Emitter, state: str, streams: int, c: Value, *shapes: Shape) -> tuple[Value, ...]:
        """Zero."""
        return (self._zeros(e, c, shapes[0]),)

    def emit_residual(
        self, e: Emitter, state: str, streams: int, x: tuple[Value, ...], t: tuple[Value, ...], w: tuple[Value, ...]
    ) -> Value:
        """Zero."""
        return self.emit_jvp(e, state, streams, *t)

    def _indices(self, shape: Shape) -> Shape:
        return shape[:-1] if self.codes else shape

    @staticmethod
    def _zeros(e: Emitter, like: Value, shape: Shape) -> Value:
        leading = e.node("Shape", like.name, start=0, end=2)
        return Value(e.node("ConstantOfShape", e.node("Concat", leading, e.integers(*shape), axis=0)), shape)


@dataclass(frozen=True, eq=False)
class OneHot(Lookup):
    """`x -> (x == 0, ..., x == v - 1)`, as a lookup in the unit matrix."""


def parse_lookup(node: Node) -> Operator:
    """Gather from a constant table along its first axis."""
    table = node.floating(0)
    assert table is not None
    if node.attributes.get("axis", 0) % table.ndim:
        raise Unsupported("it looks entries up along an axis of its table other than the first")
    return Lookup(_moderate(table))


def parse_one_hot(node: Node) -> Operator:
    """Equal of numbers at the end of a row with 0 to v - 1; the second input is the constant."""
    numbers, shape = node.constant(1), node.shape()
    assert numbers is not None
    if numbers.ndim > len(shape) + 1 or shape[-1:] != (1,):
        raise Unsupported(f"it compares rows of shape {shape} with {numbers.shape}, which gives no one-hot code")
    return OneHot(np.eye(len(_moderate(numbers.ravel())), dtype=np.float32), codes=True)


def _moderate(table: Array) -> Array:
    """Refuse what no table of a net has; a unit matrix of codes is to fit in memory before it is multiplied."""
    most = (LARGEST_CODE if table.ndim == 1 else LARGEST_INDEX) - 1
    if not 0 < len(table) <= most:
        raise Unsupported(f"its table has {len(table):,} rows, and onnxbound reads tables of up to {most:,}")
    return table


PARSERS = {ONE_HOT: parse_one_hot}
