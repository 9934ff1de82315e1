"""A linear layer written as (W x^T)^T, with the batch on the second axis, becomes x W^T."""

from dataclasses import replace

import numpy as np

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.words import counted


def spell_linear(graph: OnnxGraph) -> PassResult:
    """Rewrite `Transpose(MatMul(W, Transpose(x)))`, or the same with Gemm(W, x, transB=1), as MatMul(x, W^T)."""
    producers, write, count = graph.producers(), NodeWriter(graph), 0
    for node in graph.nodes:
        column = _column_layer(node, graph, producers)
        if column is None:
            write.keep(node)
            continue
        weight, x = column
        write.instead_of(node)
        turned = write.constant(np.ascontiguousarray(np.asarray(graph.constants[weight]).T), origin=weight)
        write.add("MatMul", x, turned, output=node.outputs[0])
        count += 1
    reason = f"transposed {counted(count, 'layer')} with the weight as left factor" if count else ""
    graph = replace(
        graph,
        nodes=tuple(write.nodes),
        constants={**graph.constants, **write.constants},
        origins={**graph.origins, **write.origins},
    )
    return PassResult(graph, count > 0, reason)


def _column_layer(node: GraphNode, graph: OnnxGraph, producers: dict[str, GraphNode]) -> tuple[str, str] | None:
    """(W, x) of such a layer; None if the node does not end one."""
    product = producers.get(node.inputs[0]) if _swaps(node) else None
    if product is None or len(product.inputs) != 2 or product.inputs[0] not in graph.constants:
        return None
    weight, column = product.inputs
    attributes = product.attributes()
    if np.ndim(graph.constants[weight]) != 2:
        return None
    if product.op_type == "Gemm" and attributes == {"transB": 1}:
        return weight, column
    turned = producers.get(column)
    if product.op_type == "MatMul" and turned is not None and _swaps(turned):
        return weight, turned.inputs[0]
    return None


def _swaps(node: GraphNode) -> bool:
    return node.op_type == "Transpose" and node.attributes().get("perm") == (1, 0)
