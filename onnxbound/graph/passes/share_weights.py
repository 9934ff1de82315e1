"""A weight that the file contains twice counts as one trained weight, even if one copy is transposed."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from onnxbound.graph.onnx_graph import OnnxGraph, PassResult
from onnxbound.operators.operator import Array
from onnxbound.words import counted

_SAMPLE = 16
_STRIP_ENTRIES = 1 << 16


def share_weights(graph: OnnxGraph) -> PassResult:
    """Find matrices that equal another one, or its transpose, in every bit: exporters write tied weights so.

    A matrix whose entries are all equal is left out: it may never have been trained.
    """
    read = {name for node in graph.nodes for name in node.inputs}
    twins: dict[tuple[int, ...], list[str]] = defaultdict(list)
    origins = dict(graph.origins)
    shared = 0
    for name in sorted(read & graph.constants.keys()):
        value = graph.constants[name]
        if np.ndim(value) != 2 or value.dtype.kind != "f" or value.size < 4:
            continue
        candidates = twins[tuple(sorted(value.shape))]
        first = next((other for other in candidates if _same(graph.constants[other], value)), None)
        if first is None:
            candidates.append(name)
        elif origins.get(first, first) != origins.get(name, name):
            origins[name] = origins.get(first, first)
            shared += 1
    reason = f"counted once: {counted(shared, 'weight')} in the file twice" if shared else ""
    return PassResult(replace(graph, origins=origins), shared > 0, reason)


def _same(a: Array, b: Array) -> bool:
    """Whether b is a or its transpose, and not constant."""
    return any(turned.shape == b.shape and _equal(turned, b) for turned in (a, a.T)) and _varies(a)


def _equal(a: Array, b: Array) -> bool:
    """A few entries tell most pairs apart; the rest is read in strips, unless both lie in one place."""
    if a.__array_interface__["data"] == b.__array_interface__["data"] and a.strides == b.strides:
        return True
    places = np.linspace(0, a.size - 1, _SAMPLE).astype(int)
    return all(a.flat[i] == b.flat[i] for i in places) and all(map(np.array_equal, _strips(a), _strips(b)))


def _varies(a: Array) -> bool:
    return any(bool(np.any(strip != a.flat[0])) for strip in _strips(a))


def _strips(a: Array) -> Iterator[Array]:
    """Some rows at a time."""
    step = max(1, _STRIP_ENTRIES // a.shape[1])
    return (a[start : start + step] for start in range(0, len(a), step))
