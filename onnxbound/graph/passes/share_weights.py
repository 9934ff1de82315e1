"""A weight that stands in the file twice, the second time transposed perhaps, is one trained weight."""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from onnxbound.graph.onnx_graph import OnnxGraph, PassResult
from onnxbound.operators.operator import Array

_SAMPLE = 64
_STRIP_ENTRIES = 1 << 16


def share_weights(graph: OnnxGraph) -> PassResult:
    """Note matrices that equal another one, or its transpose, in every entry: exporters write tied weights so.

    Only equality in every bit counts, and matrices that are constant do not: those are as they were initialised.
    """
    read = {name for node in graph.nodes for name in node.inputs}
    found: dict[tuple[int, ...], list[str]] = defaultdict(list)
    origins = dict(graph.origins)
    shared = 0
    for name in sorted(read & graph.constants.keys()):
        value = graph.constants[name]
        if np.ndim(value) != 2 or value.dtype.kind != "f" or value.size < 4:
            continue
        candidates = found[tuple(sorted(value.shape))]
        first = next((other for other in candidates if _same(graph.constants[other], value)), None)
        if first is None:
            candidates.append(name)
        elif origins.get(first, first) != origins.get(name, name):
            origins[name] = origins.get(first, first)
            shared += 1
    reason = f"found {shared} weights that stand in the file twice" if shared else ""
    return PassResult(replace(graph, origins=origins), shared > 0, reason)


def _same(a: Array, b: Array) -> bool:
    """Whether b is a or its transpose: a few entries tell most pairs apart, and of the rest rows are read in strips."""
    return _varies(a) and any(
        turned.shape == b.shape and _equal(turned, b) for turned in (a, a.T)
    )


def _equal(a: Array, b: Array) -> bool:
    if _is_same_place(a, b):
        return True
    places = np.linspace(0, a.size - 1, _SAMPLE).astype(int)
    if not np.array_equal(a.flat[places], b.flat[places]):
        return False
    step = max(1, _STRIP_ENTRIES // a.shape[1])
    return all(np.array_equal(a[i : i + step], b[i : i + step]) for i in range(0, len(a), step))


def _is_same_place(a: Array, b: Array) -> bool:
    """Whether both are the same bytes of the same file."""
    if not (isinstance(a, np.memmap) and isinstance(b, np.memmap)):
        return False
    return (a.filename, a.offset, a.dtype, a.strides) == (b.filename, b.offset, b.dtype, b.strides)


def _varies(a: Array) -> bool:
    step = max(1, _STRIP_ENTRIES // a.shape[1])
    return any(bool(np.any(a[i : i + step] != a.flat[0])) for i in range(0, len(a), step))
