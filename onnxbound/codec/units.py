"""Hidden units and channels as sets: which may change places, and how many bits their order in a file carries.

A network computes the same whatever the order of its hidden units, so a file may write them in any. The reader sorts
them, and finds in the order of the file a number below h! / (m_1! m_2! ...), with m_i the sizes of groups of units that
look alike: it is the first bits of what the file says next. The h! files of one network become one that is shorter by
the logarithm.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from math import factorial, prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.tensors import Exact, Levels, LowRank, Part
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.bilinear import Product
from onnxbound.operators.branches import Add
from onnxbound.operators.conv import Conv
from onnxbound.operators.dense import Dense
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.gate import Gate
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.mean import Mean
from onnxbound.operators.operator import Shape
from onnxbound.operators.pad import Pad
from onnxbound.operators.reshape import Reshape

Order = NDArray[np.int64]
LARGEST_SET = 1 << 14
"""Units of a set: the time of a rank grows with their square, and no reader shall wait long."""

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class UnitSet:
    """Hidden units or channels whose order does not change the network's function.

    Attributes:
        count: h.
        rows: Holes whose first axis these units index, in blocks; the first is the weight whose rows are sorted.
        columns: Holes whose second axis these units index, in blocks.
    """

    count: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]


@dataclass(slots=True)
class _Ties:
    """Sets while they are found: a set is known by a number, and may turn out to be another one."""

    parents: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    fixed: set[int] = field(default_factory=set)
    rows: list[tuple[int, int]] = field(default_factory=list)
    columns: list[tuple[int, int]] = field(default_factory=list)

    def new(self, count: int) -> int:
        self.parents.append(len(self.parents))
        self.counts.append(count)
        return self.parents[-1]

    def root(self, units: int) -> int:
        while self.parents[units] != units:
            units = self.parents[units] = self.parents[self.parents[units]]
        return units

    def by_root(self, pairs: list[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
        """The holes of each set, ascending."""
        holes = defaultdict(list)
        for units, hole in pairs:
            holes[self.root(units)].append(hole)
        return {root: tuple(sorted(of)) for root, of in holes.items()}

    def fix(self, *given: int | None) -> None:
        """They may not change places."""
        self.fixed.update(units for units in given if units is not None)

    def tied(self, given: list[int | None]) -> int | None:
        """They may only change places together."""
        counts = {None if units is None else self.counts[units] for units in given}
        if None in counts or len(counts) > 1:
            self.fix(*given)
            return None
        first, *others = sorted(self.root(units) for units in given if units is not None)
        for other in others:
            self.parents[other] = first
        return first


def unit_sets(architecture: Architecture) -> tuple[UnitSet, ...]:
    """The sets of an architecture, by the place of their first hole."""
    ties = _Ties()
    holes: dict[int, dict[str, int]] = defaultdict(dict)
    for place, hole in enumerate(architecture.holes):
        holes[hole.node][hole.attribute] = place
    units: list[int | None] = [None]
    for place, node in enumerate(architecture.nodes):
        given, shape = [units[k] for k in node.inputs], architecture.shapes[node.inputs[0]]
        units.append(_followed(ties, node, given, shape, holes[place]))
    ties.fix(units[-1])
    fixed = {ties.root(number) for number in ties.fixed}
    rows, columns = ties.by_root(ties.rows), ties.by_root(ties.columns)
    sets = [
        UnitSet(ties.counts[root], of, columns.get(root, ()))
        for root, of in rows.items()
        if root not in fixed and 1 < ties.counts[root] <= LARGEST_SET
    ]
    return tuple(sorted(sets, key=lambda units: units.rows[0]))


def _followed(ties: _Ties, node: CodedNode, given: list[int | None], shape: Shape, holes: dict[str, int]) -> int | None:
    """The units of what a node puts out; a tensor of h units is h equal blocks in C order."""
    operator, (first, *_) = node.operator, given
    along = first is not None and len(shape) > 0 and ties.counts[first] == shape[0]
    if isinstance(operator, Dense | Conv):
        return _behind_layer(ties, operator, first, shape, holes, along=along)
    if isinstance(operator, Add | Product):
        return ties.tied(given)
    if first is None or len(given) > 1:
        ties.fix(*given)
        return None
    if isinstance(operator, Reshape):
        return first
    if isinstance(operator, Gate | ElementwiseAffine) and (along or len(shape) == 1 or not holes):
        ties.rows += [(first, hole) for name, hole in holes.items() if getattr(operator, name).shape[0] > 1]
        return first
    kept = along and (
        isinstance(operator, MaxPool | AveragePool)
        or (isinstance(operator, Mean) and 0 not in operator.axes)
        or (isinstance(operator, Pad) and operator.begin[0] == operator.end[0] == 0)
    )
    if not kept:
        ties.fix(first)
    return first if kept else None


def _behind_layer(
    ties: _Ties, operator: Dense | Conv, first: int | None, shape: Shape, holes: dict[str, int], *, along: bool
) -> int | None:
    if isinstance(operator, Conv) and operator.groups > 1:
        if first is None or not along or not operator.groups == shape[0] == operator.channels:
            ties.fix(first)
            return None
        ties.rows += [(first, hole) for hole in holes.values()]
        return first
    if isinstance(operator, Dense) and len(shape) > 1:
        ties.fix(first)
        return None
    if first is not None and (along or isinstance(operator, Dense)):
        ties.columns.append((first, holes["weight"]))
    else:
        ties.fix(first)
    units = ties.new(operator.channels)
    ties.rows += [(units, hole) for hole in holes.values()]
    return units


def looks(part: Part, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The group of each row of a tensor, and the size of each group; rows of equal absolute values form a group.

    Groups are in the order of their rows' sizes, the first entry first.
    """
    if isinstance(part, Exact):
        sizes = part.values.view(np.uint32).astype(np.int64)
    else:
        sizes = np.abs((part if isinstance(part, Levels) else part.left).levels)
    _, groups, counts = np.unique(sizes.reshape(count, -1), axis=0, return_inverse=True, return_counts=True)
    return groups.reshape(count), counts


def arrangements(counts: NDArray[np.int64]) -> int:
    """h! / (m_1! m_2! ...)."""
    return factorial(int(counts.sum())) // prod(factorial(int(n)) for n in counts)


def rank(groups: Order, counts: NDArray[np.int64]) -> int:
    """The place of a sequence of groups among all its arrangements, in lexicographic order."""
    left, total, result = counts.tolist(), arrangements(counts), 0
    for place, group in enumerate(groups.tolist()):
        remaining = len(groups) - place
        result += total * sum(left[:group]) // remaining
        total = total * left[group] // remaining
        left[group] -= 1
    return result


def unrank(number: int, counts: NDArray[np.int64]) -> Order:
    """The sequence of groups at a place."""
    left, total, order = counts.tolist(), arrangements(counts), []
    for remaining in range(int(counts.sum()), 0, -1):
        group, below = 0, 0
        at = number * remaining // total
        while below + left[group] <= at:
            below += left[group]
            group += 1
        number -= total * below // remaining
        total = total * left[group] // remaining
        left[group] -= 1
        order.append(group)
    return np.array(order, np.int64)


def with_rows(part: Part, order: Order) -> Part:
    """Put the blocks of the first axis into another order."""
    if isinstance(part, Exact):
        return Exact(_taken(part.values, order, 0))
    if isinstance(part, Levels):
        return Levels(part.step, _taken(part.levels, order, 0), cosine=part.cosine)
    return LowRank(Levels(part.left.step, _taken(part.left.levels, order, 0)), part.right)


def with_columns(part: Part, order: Order) -> Part:
    """Put the blocks of the second axis into another order."""
    if isinstance(part, Exact):
        return Exact(_taken(part.values, order, 1))
    if isinstance(part, Levels):
        return Levels(part.step, _taken(part.levels, order, 1), cosine=part.cosine)
    return LowRank(part.left, Levels(part.right.step, _taken(part.right.levels, order, 1)))


def _taken(values: NDArray[Number], order: Order, axis: int) -> NDArray[Number]:
    count, shape = len(order), values.shape
    blocks = values.reshape(*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :])
    return np.take(blocks, order, axis).reshape(shape)
