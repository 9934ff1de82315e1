"""Gather from a constant table by entries of the rows, and one-hot codes of them: what stands before the first layer.

Integers have no derivative, so no tangent passes here: everything is measured from the embedding on.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Self

import numpy as np
from numpy.typing import DTypeLike

from onnxbound.operators import calculus
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Tensor, Unsupported

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

    def act(self, *x: Tensor) -> Tensor:
        """The entries."""
        index, size = x[0].astype(np.int64), len(self.table)
        if not self.codes:
            return calculus.take(self.table, index)
        known = (index >= 0) & (index < size)
        places = calculus.where(known, index, 0)
        found = calculus.take(self.table, places.reshape(places.shape[0], *self._indices(places.shape[1:])))
        found *= known.astype(found.dtype)
        return found

    def linearise(self, *x: Tensor) -> None:
        """Nothing."""

    def jvp(self, state: Tensor, *t: Tensor) -> Tensor:
        """Zero."""
        return calculus.zeros((*t[0].shape[:2], *self.output_shape(t[0].shape[2:])), t[0])

    def vjp(self, state: Tensor, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """Zero."""
        return (calculus.zeros((*c.shape[:2], *shapes[0]), c),)

    def residual(self, state: Tensor, x: tuple[Tensor, ...], t: tuple[Tensor, ...], w: tuple[Tensor, ...]) -> Tensor:
        """Zero."""
        return self.jvp(state, *t)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """None: the entries of a table jump."""
        return (inf,)

    def cast(self, dtype: DTypeLike) -> Self:
        """The table rounded to `dtype`."""
        return replace(self, table=self.table.astype(dtype))

    def _indices(self, shape: Shape) -> Shape:
        return shape[:-1] if self.codes else shape


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
