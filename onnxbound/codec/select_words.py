"""How a choice of entries is written: per axis where it is one of whole slices, else entry by entry."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.grammar import Grammar
from onnxbound.codec.range_coder import Malformed
from onnxbound.operators.operator import Shape
from onnxbound.operators.select import Select

LARGEST_COUNT = 1 << 22
"""Numbers in all tensors of a network, and entries that it chooses.

A file of a few bytes may spell millions, and reading them takes a minute.
"""

_LARGEST = 1 << 20
"""Entries that may be chosen one by one."""

Sequence = NDArray[np.int64]


def code_select(g: Grammar, given: Select | None, shapes: tuple[Shape, ...]) -> Select:
    """Which entries of each axis, or of the whole row; then the shape, if it is not that of the choice."""
    shape = shapes[0]
    per_axis = None if given is None else _per_axis(given.source, shape)
    if g.flag(None if given is None else per_axis is not None, 15, 1):
        chosen = [_code_sequence(g, None if per_axis is None else per_axis[axis], n) for axis, n in enumerate(shape)]
        lengths = tuple(len(places) for places in chosen)
        if prod(lengths) > LARGEST_COUNT:
            raise Malformed("too many entries are chosen")
        source = _whole(chosen, shape)
        if any(len(set(places.tolist())) < len(places) for places in chosen):
            raise Malformed("an entry of an axis is chosen twice, which only a choice entry by entry can say")
    else:
        count = 1 + g.natural(None if given is None else given.source.size - 1)
        if count > _LARGEST:
            raise Malformed("too many entries are chosen")
        source = _code_entries(g, None if given is None else given.source.ravel(), count, prod(shape))
        lengths = (count,)
        if _per_axis(source, shape) is not None:
            raise Malformed("a choice of slices is not in its shortest form")
    if g.flag(None if given is None else given.source.shape == lengths, 7, 1):
        return Select(source)
    rank = g.natural(None if given is None else given.source.ndim)
    if rank > 8:
        raise Malformed("a tensor has too many axes")
    target = tuple(g.count(None if given is None else given.source.shape[axis]) for axis in range(rank))
    if target == lengths or prod(target) != prod(lengths):
        raise Malformed("the shape of a choice is not in its shortest form, or does not fit")
    return Select(source.reshape(target))


def _code_sequence(g: Grammar, given: Sequence | None, length: int) -> Sequence:
    """All entries of an axis, evenly spaced ones, or any."""
    even = given is not None and (len(given) < 2 or len(set(np.diff(given))) == 1)
    whole = given is not None and np.array_equal(given, np.arange(length))
    form = g.choice(None if given is None else 0 if whole else 1 if even else 2, (4, 3, 1))
    if form == 0:
        return np.arange(length)
    count = 1 + g.natural(None if given is None else len(given) - 1)
    if count > _LARGEST:
        raise Malformed("too many entries are chosen")
    if form == 1:
        first = g.natural(None if given is None else int(given[0]))
        step = 1 if count == 1 else g.integer(None if given is None else int(given[1] - given[0]) - 1) + 1
        last = first + (count - 1) * step
        if not (0 <= first < length and 0 <= last < length) or (count, first, step) == (length, 0, 1):
            raise Malformed("evenly spaced entries leave their axis, or are all of it")
        return first + step * np.arange(count)
    digits = (length - 1).bit_length()
    index = np.array([g.plain(None if given is None else int(given[k]), digits) for k in range(count)], np.int64)
    if index.max() >= length:
        raise Malformed("a chosen entry does not exist")
    if count < 3 or len(set(np.diff(index))) == 1:
        raise Malformed("evenly spaced entries are not in their shortest form")
    return index


def _code_entries(g: Grammar, given: Sequence | None, count: int, size: int) -> Sequence:
    """Any entries: each by its distance from the one before where that is the last distance, or by itself."""
    index: list[int] = []
    digits = max(1, (size - 1).bit_length())
    for place in range(count):
        expected = 2 * index[-1] - index[-2] if place > 1 else index[-1] + 1 if place else 0
        value = None if given is None else int(given[place])
        if 0 <= expected < size and g.flag(None if value is None else value == expected, 7, 1):
            index.append(expected)
            continue
        entry = g.plain(value, digits)
        if entry >= size or entry == expected:
            raise Malformed("a chosen entry does not exist, or is not in its shortest form")
        index.append(entry)
    return np.array(index, np.int64)


def _per_axis(source: NDArray[np.int64], shape: Shape) -> list[Sequence] | None:
    """For each axis of a row the places that are chosen, if the choice is one of whole slices."""
    places = np.unravel_index(source.ravel(), shape) if shape else ()
    chosen = [np.array(list(dict.fromkeys(axis.tolist())), np.int64) for axis in places]
    if prod(len(axis) for axis in chosen) != source.size:
        return None
    whole = _whole(chosen, shape)
    return chosen if np.array_equal(whole.ravel(), source.ravel()) else None


def _whole(chosen: list[Sequence], shape: Shape) -> NDArray[np.int64]:
    """The entries at the chosen places of every axis."""
    return np.ravel_multi_index(np.ix_(*chosen), shape).astype(np.int64) if shape else np.zeros((), np.int64)
