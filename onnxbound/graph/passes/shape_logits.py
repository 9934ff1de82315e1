"""A single logit z becomes the two logits (0, z), and axes of length 1 are removed from the logits."""

from dataclasses import replace
from math import prod

import numpy as np

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import OnnxGraph, PassResult
from onnxbound.operators.operator import Shape
from onnxbound.words import counted


def shape_logits(graph: OnnxGraph, shape: Shape) -> PassResult:
    """Append to the one output, of row shape `shape`,

    * a Reshape to a vector, where every axis but one has length 1;
    * a Pad that puts a zero in front of a single logit z: the classes' logits are then (0, z), whose Softmax is
      (1 - p, p) with p = Sigmoid(z).
    """  # noqa: D415 - the sentence runs into its list
    size = prod(shape)
    if (len(shape) == 1 and size > 1) or max(shape, default=1) < size:
        return PassResult(graph, False, "")
    write, parts = NodeWriter(graph), []
    logits = graph.outputs[0]
    if len(shape) != 1:
        logits = write.add("Reshape", logits, write.constant(np.array([-1, size])))
        parts.append(f"read a row of shape {shape} as {counted(size, 'logit')}")
    if size == 1:
        pads = (0, 1, 0, 0)
        old = graph.opset < 11
        logits = write.add("Pad", logits, pads=pads) if old else write.add("Pad", logits, write.constant(pads))
        parts.append("read the single logit z as two classes with the logits (0, z)")
    nodes, constants = (*graph.nodes, *write.nodes), {**graph.constants, **write.constants}
    return PassResult(replace(graph, nodes=nodes, constants=constants, outputs=(logits,)), True, "; ".join(parts))
