"""A weight that stands in the file twice, the second time transposed perhaps, is one trained weight."""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from onnxbound.graph.onnx_graph import OnnxGraph, PassResult
from onnxbound.operators.operator import Array


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
    if a.flat[0] != b.flat[0] or a.flat[-1] != b.flat[-1]:
        return False
    equal = (a.shape == b.shape and np.array_equal(a, b)) or (a.T.shape == b.shape and np.array_equal(a.T, b))
    return equal and bool(np.any(a != a.flat[0]))
