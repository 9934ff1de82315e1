"""LinearClassifier, Scaler and Normalizer (domain ai.onnx.ml) become operators such as MatMul, Add and Softmax."""

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult

_POST_TRANSFORMS = {"NONE": "", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}


def expand_ml(graph: OnnxGraph) -> PassResult:
    """Write out, with x a row,

    * `Scaler`: (x - offset) scale;
    * `LinearClassifier`: s = W x + b, then a Softmax or a Sigmoid of s; its label is the ArgMax(s)-th of its list. Two
      classes that share one row of coefficients cannot be written so, and the node stays;
    * `Normalizer` with norm L1 behind a Softmax: nothing, since the entries add up to 1 already.
    """  # noqa: D415 - the sentence runs into its list
    write, expanded = NodeWriter(graph), set()
    softmax = {name for node in graph.nodes if node.op_type == "Softmax" for name in node.outputs}
    for node in graph.nodes:
        write.instead_of(node)
        if node.op_type == "ai.onnx.ml::Scaler":
            _scaler(node, write)
        elif node.op_type == "ai.onnx.ml::LinearClassifier" and _one_row_per_class(node):
            _linear_classifier(node, write)
            softmax.add(node.proto.output[1])
        elif node.op_type == "ai.onnx.ml::Normalizer" and node.inputs[0] in softmax and _norm(node) == "L1":
            write.add("Identity", node.inputs[0], output=node.outputs[0])
        else:
            write.keep(node)
            continue
        expanded.add(node.proto.op_type)
    reason = f"wrote out {', '.join(sorted(expanded))}" if expanded else ""
    constants = {**graph.constants, **write.constants}
    return PassResult(replace(graph, nodes=tuple(write.nodes), constants=constants), bool(expanded), reason)


def _norm(node: GraphNode) -> str:
    return str(node.attributes().get("norm", "MAX"))


def _scaler(node: GraphNode, write: NodeWriter) -> None:
    attributes = node.attributes()
    offset = write.constant(np.asarray(attributes.get("offset", (0.0,)), np.float32))
    scale = write.constant(np.asarray(attributes.get("scale", (1.0,)), np.float32))
    x = write.add("Cast", node.inputs[0], to=TensorProto.FLOAT)
    write.add("Mul", write.add("Sub", x, offset), scale, output=node.outputs[0])


def _one_row_per_class(node: GraphNode) -> bool:
    attributes = node.attributes()
    classes = len(_labels(node))
    rows = len(attributes.get("intercepts", ())) or classes
    whole = len(node.proto.output) == 2 and classes > 1 and len(attributes.get("coefficients", ())) % classes == 0
    return whole and rows == classes and attributes.get("post_transform", "NONE") in _POST_TRANSFORMS


def _labels(node: GraphNode) -> np.ndarray[Any, Any]:
    attributes = node.attributes()
    numbers = attributes.get("classlabels_ints", ())
    return np.array(numbers or attributes.get("classlabels_strings", ()), np.int64 if numbers else object)


def _linear_classifier(node: GraphNode, write: NodeWriter) -> None:
    attributes, labels = node.attributes(), _labels(node)
    label, scores = node.proto.output
    head = _POST_TRANSFORMS[attributes.get("post_transform", "NONE")]
    weight = np.asarray(attributes["coefficients"], np.float32).reshape(len(labels), -1).T
    bias = np.asarray(attributes.get("intercepts") or (0.0,) * len(labels), np.float32)
    product = write.add("MatMul", write.add("Cast", node.inputs[0], to=TensorProto.FLOAT), write.constant(weight))
    logits = write.add("Add", product, write.constant(bias), output="" if head else scores)
    if head:
        write.add(head, logits, output=scores)
    if label:
        best = write.add("ArgMax", logits, axis=1, keepdims=0)
        write.add("Gather", write.constant(labels), best, output=label)
