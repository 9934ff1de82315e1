"""Operators that only choose entries of a row: Slice, Gather, Split, DepthToSpace, SpaceToDepth, Expand and Tile."""

from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod, sqrt
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.operators import calculus
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.lookup import parse_lookup
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Array, Operator, Shape, Tensor, Unsupported

_LARGEST = 1 << 26
"""Entries of a row; the largest activations of real nets are smaller."""


@dataclass(frozen=True, eq=False)
class Select(Affine):
    """Entry o of the result is entry `source[o]` of the row, its entries counted through in C order.

    Attributes:
        source: Int64, of the result's shape.
    """

    source: NDArray[np.int64]

    @cached_property
    def _rounds(self) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
        """(sources, places in the result): the k-th round holds the k-th place of every entry that has so many."""
        flat = self.source.ravel()
        order = np.argsort(flat, kind="stable")
        first = np.flatnonzero(np.diff(flat[order], prepend=-1))
        lengths = np.diff(np.append(first, flat.size))
        turn = np.empty(flat.size, np.int64)
        turn[order] = np.arange(flat.size) - np.repeat(first, lengths)
        places = (np.flatnonzero(turn == k) for k in range(int(lengths.max(initial=0))))
        return tuple((flat[found], found) for found in places)

    def output_shape(self, *shapes: Shape) -> Shape:
        """That of the source."""
        if self.source.size and self.source.max() >= prod(shapes[0]):
            raise Unsupported(f"it chooses entries that a row of shape {shapes[0]} does not have")
        return self.source.shape

    def linear(self, *x: Tensor) -> Tensor:
        return x[0].reshape(x[0].shape[0], prod(x[0].shape[1:]))[:, self.source]

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The cotangents back at their sources, added where one was chosen more than once."""
        flat = c.reshape(c.shape[0], self.source.size)
        sent_back = self._gathered if isinstance(c, Symbol) else self._scattered
        return (sent_back(flat, prod(shapes[0])).reshape(c.shape[0], *shapes[0]),)

    def _scattered(self, flat: Array, size: int) -> Array:
        """Per round an addition in place, the fastest way in NumPy."""
        result = np.zeros((len(flat), size), flat.dtype)
        for source, place in self._rounds:
            result[:, source] += flat[:, place]
        return result

    def _gathered(self, flat: Symbol, size: int) -> Symbol:
        """Per round a Gather from the cotangents and a zero behind them."""
        padded, terms = calculus.pad(flat, (0, 0), (0, 1)), []
        for source, place in self._rounds:
            where = np.full(size, flat.shape[1])
            where[source] = place
            terms.append(padded[:, where])
        result: Symbol = reduce(add, terms)
        return result

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """The root of how often an entry is chosen, the exact norm."""
        return (sqrt(len(self._rounds)),)


def _entries(node: Node) -> NDArray[np.int64]:
    """The entries of a row, counted through, with a batch axis of length 1."""
    shape = node.shape()
    return np.arange(prod(shape)).reshape(1, *shape)


def _axis(node: Node, default: int) -> int:
    rank = len(node.shape()) + 1
    axis = int(node.attributes.get("axis", default)) % rank
    if axis == 0:
        raise Unsupported("it acts along the batch axis, so rows would not be independent")
    return axis


def _numbers(node: Node, index: int, attribute: str, default: Any) -> list[int]:
    value = node.option(index, attribute, default)
    if value is None:
        raise Unsupported(f"it has no {attribute}")
    return [int(n) for n in np.ravel(value)]


def parse_slice(node: Node) -> Operator:
    """Slice; its settings are attributes below opset 10."""
    entries = _entries(node)
    starts, ends = _numbers(node, 1, "starts", None), _numbers(node, 2, "ends", None)
    axes = _numbers(node, 3, "axes", range(len(starts)))
    steps = _numbers(node, 4, "steps", [1] * len(starts))
    cut = [slice(None)] * entries.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis %= entries.ndim
        if axis == 0:
            if start != 0 or (end != node.batch and end < np.iinfo(np.int32).max) or step != 1:
                raise Unsupported("it cuts the batch, so rows would not be independent")
            continue
        # A start or an end before the first entry stands, in ONNX, for the first, and going backwards for "to the end".
        length = entries.shape[axis]
        low = -length - (step < 0)
        cut[axis] = slice(max(start, -length), None if step < 0 and end <= low else end, step)
    return Select(_not_empty(entries[tuple(cut)]))


def parse_gather(node: Node) -> Operator:
    """Gather by a constant index, or from a constant table."""
    index = node.constant(1)
    if index is None and node.constant(0) is not None:
        return parse_lookup(node)
    if index is None:
        raise Unsupported("its index depends on the rows", "onnxbound reads Gather with a constant index or table")
    return _taken(node, index, _axis(node, 0))


def parse_feature_extractor(node: Node) -> Operator:
    """ArrayFeatureExtractor by a constant index: Gather along the last axis."""
    index = node.constant(1)
    if index is None:
        raise Unsupported("its index depends on the rows")
    return _taken(node, np.ravel(index), len(node.shape()))


def _taken(node: Node, index: Array, axis: int) -> Operator:
    entries = _entries(node)
    _require_moderate(entries.size // entries.shape[axis] * index.size)
    if np.any(index < -entries.shape[axis]) or np.any(index >= entries.shape[axis]):
        raise Unsupported(f"its index lies outside the {entries.shape[axis]} entries along axis {axis}")
    return Select(_not_empty(np.take(entries, index, axis)))


def parse_split(node: Node) -> Operator:
    """One of the parts of a Split; lengths are an attribute below opset 13, equal parts the default."""
    entries, axis = _entries(node), _axis(node, 0)
    lengths = _numbers(node, 1, "split", ())
    if not lengths:
        longest = -(-entries.shape[axis] // node.outputs)
        lengths = [longest] * node.outputs
    ends = np.cumsum(lengths)
    last = min(int(ends[node.output]), entries.shape[axis])
    return Select(_not_empty(np.take(entries, np.arange(ends[node.output] - lengths[node.output], last), axis)))


def parse_depth_to_space(node: Node) -> Operator:
    """DepthToSpace, in either order of depth and blocks."""
    entries, block = _entries(node), int(node.attributes["blocksize"])
    _, channels, height, width = _image(entries)
    depth = channels // block**2
    if node.attributes.get("mode", "DCR") == "CRD":
        parted = entries.reshape(depth, block, block, height, width).transpose(0, 3, 1, 4, 2)
    else:
        parted = entries.reshape(block, block, depth, height, width).transpose(2, 3, 0, 4, 1)
    return Select(parted.reshape(depth, height * block, width * block))


def parse_space_to_depth(node: Node) -> Operator:
    """SpaceToDepth, in either order of depth and blocks."""
    entries, block = _entries(node), int(node.attributes["blocksize"])
    _, channels, height, width = _image(entries)
    order = (0, 2, 4, 1, 3) if node.attributes.get("mode", "DCR") == "CRD" else (2, 4, 0, 1, 3)
    parted = entries.reshape(channels, height // block, block, width // block, block).transpose(order)
    return Select(parted.reshape(channels * block**2, height // block, width // block))


def _image(entries: NDArray[np.int64]) -> Shape:
    if entries.ndim != 4:
        raise Unsupported(f"it rearranges images, and a row has the shape {entries.shape[1:]}")
    return entries.shape


def parse_expand(node: Node) -> Operator:
    """Expand that leaves the batch as it is."""
    entries, target = _entries(node), _numbers(node, 1, "shape", None)
    if len(target) > entries.ndim or (len(target) == entries.ndim and target[0] not in (1, node.batch)):
        raise Unsupported(f"it enlarges the batch axis, to the shape {target}")
    target = [1, *target[1:]] if len(target) == entries.ndim else target
    try:
        common = np.broadcast_shapes(entries.shape, tuple(target))
    except ValueError as error:
        raise Unsupported(f"a row of shape {entries.shape[1:]} cannot take the shape {target}") from error
    _require_moderate(prod(common))
    return Select(np.broadcast_to(entries, common)[0])


def parse_tile(node: Node) -> Operator:
    """Tile that leaves the batch as it is."""
    repeats = _numbers(node, 1, "repeats", None)
    if repeats[0] != 1:
        raise Unsupported("it repeats the rows of the batch")
    _require_moderate(prod(node.shape()) * prod(max(1, abs(n)) for n in repeats))
    return Select(_not_empty(np.tile(_entries(node), repeats)))


def _require_moderate(entries: int) -> None:
    """Refuse what no net has, before memory is spent on it."""
    if entries > _LARGEST:
        raise Unsupported(f"a row would have up to {entries:,} entries, and onnxbound reads rows of up to {_LARGEST:,}")


def _not_empty(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    if not chosen.size:
        raise Unsupported("its result has no entries")
    return np.asarray(chosen[0], np.int64)


PARSERS = {
    "Slice": parse_slice,
    "Gather": parse_gather,
    "Split": parse_split,
    "DepthToSpace": parse_depth_to_space,
    "SpaceToDepth": parse_space_to_depth,
    "Expand": parse_expand,
    "Tile": parse_tile,
    "ai.onnx.ml::ArrayFeatureExtractor": parse_feature_extractor,
}
