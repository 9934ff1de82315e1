"""A comparison Equal(x, [0, 1, ..., v - 1]), as JAX writes it, is read as a one-hot encoding of x."""

from dataclasses import replace

import numpy as np

from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.operators.lookup import ONE_HOT


def spell_codes(graph: OnnxGraph) -> PassResult:
    """Rename every such node, so that it is parsed as a one-hot code; any other Equal stays as it is."""
    nodes = tuple(_spelled(node, graph) for node in graph.nodes)
    return PassResult(replace(graph, nodes=nodes), nodes != graph.nodes, "")


def _spelled(node: GraphNode, graph: OnnxGraph) -> GraphNode:
    if node.op_type != "Equal" or len(node.inputs) != 2:
        return node
    for numbers, codes in (node.inputs, node.inputs[::-1]):
        values = np.asarray(graph.constants.get(numbers, 0))
        counted = values.ndim > 0 and values.shape[-1] == values.size > 1
        if counted and codes not in graph.constants and np.array_equal(values.ravel(), np.arange(values.size)):
            domain, _, op_type = ONE_HOT.partition("::")
            return node.rewritten(op_type, (codes, numbers), domain=domain)
    return node
