"""An ONNX file as a float64 PyTorch function, with the weighted layers of theory: an oracle, so simple and slow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import NodeProto, numpy_helper
from torch import Tensor

from tests.oracle.torch_ops import OPERATIONS, batch_norm_scale

GATES = {"Relu", "LeakyRelu"}


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the graph with its attributes as Python values."""

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """A weighted layer: `entering` is the name of a^i, `leaving` that of x^i, `weight` A^i with BatchNorm folded.

    Its nodes are those from the product to the bias or BatchNorm at whose output x^i stands.
    """

    entering: str
    leaving: str
    weight: Tensor
    product: Node
    nodes: tuple[str, ...]

    def pixel_axes(self, x: Tensor) -> tuple[int, ...]:
        """The axes of x^i (n, ...) that count pixel positions."""
        return tuple(range(2, x.ndim)) if self.product.op == "Conv" else tuple(range(1, x.ndim - 1))

    def positions(self, x: Tensor) -> int:
        """p_i of the layer's output x^i (n, ...)."""
        return math.prod(x.shape[axis] for axis in self.pixel_axes(x))

    def linear(self, a: Tensor) -> Tensor:
        """A^i a^i: without bias and without BatchNorm's shift."""
        if self.product.op == "Conv":
            return OPERATIONS["Conv"]([a, self.weight], self.product.attributes)
        return a @ self.weight.T


@dataclass(frozen=True, slots=True)
class Net:
    """The graph: data nodes in file order, constants by name, weighted layers in file order."""

    nodes: tuple[Node, ...]
    constants: dict[str, Tensor]
    input: str
    logits: str
    layers: tuple[Layer, ...]

    def evaluate(self, x: Tensor, replace: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Every tensor of the graph at rows x (n, ...); those in `replace` are overwritten once computed."""
        values = {**self.constants, self.input: x}
        for node in self.nodes:
            if replace and node.output in replace:
                values[node.output] = replace[node.output]
                continue
            values[node.output] = _apply(node, values, rows=len(x))
        return values

    def target(self, j: int) -> str:
        """The tensor that quantities with target j (0-based) are about: x^j, and the logits for the last layer."""
        return self.logits if j == len(self.layers) - 1 else self.layers[j].leaving

    def reaches(self, source: str) -> set[str]:
        """The names of all tensors downstream of `source`, itself included."""
        reached = {source}
        for node in self.nodes:
            if reached.intersection(node.inputs):
                reached.add(node.output)
        return reached


def _apply(node: Node, values: Mapping[str, Tensor], rows: int | None = None) -> Tensor:
    inputs = [values[name] for name in node.inputs]
    if node.op == "Reshape" and rows is not None and inputs[1][0] == 1 and inputs[0].shape[0] == rows:
        # A file with batch size 1 names it in its shapes; here it means "the rows at hand".
        inputs[1] = torch.cat([torch.tensor([rows]), inputs[1][1:]])
    return OPERATIONS[node.op](inputs, node.attributes)


def _tensor(proto: onnx.TensorProto) -> Tensor:
    tensor = torch.from_numpy(numpy_helper.to_array(proto).copy())
    return tensor.double() if tensor.is_floating_point() else tensor


def _node(proto: NodeProto) -> Node:
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute}
    return Node(proto.op_type, tuple(name for name in proto.input if name), proto.output[0], attributes)


def load(path: Path) -> Net:
    """Reads an ONNX file whose operators are those of `torch_ops` and whose output is the logits."""
    graph = onnx.load(path).graph
    constants = {tensor.name: _tensor(tensor) for tensor in graph.initializer}
    nodes = []
    for proto in graph.node:
        node = _node(proto)
        if node.op == "Constant":
            constants[node.output] = _tensor(node.attributes["value"])
        elif all(name in constants for name in node.inputs):
            constants[node.output] = _apply(node, constants)
        else:
            nodes.append(node)
    (data,) = (value.name for value in graph.input if value.name not in constants)
    (logits,) = (value.name for value in graph.output)
    layers = tuple(_layer(node, nodes, constants, logits) for node in nodes if _is_weighted(node, constants))
    return Net(tuple(nodes), constants, data, logits, layers)


def _is_weighted(node: Node, constants: Mapping[str, Tensor]) -> bool:
    return node.op in {"Conv", "Gemm", "MatMul"} and node.inputs[1] in constants


def _layer(product: Node, nodes: list[Node], constants: Mapping[str, Tensor], logits: str) -> Layer:
    weight = constants[product.inputs[1]]
    if product.op == "Gemm":
        weight = product.attributes.get("alpha", 1.0) * (weight if product.attributes.get("transB") else weight.T)
    elif product.op == "MatMul":
        weight = weight.T
    leaving, members = product.output, [product.output]
    while leaving != logits:
        consumers = [node for node in nodes if leaving in node.inputs]
        if len(consumers) != 1:
            break
        (after,) = consumers
        if after.op == "BatchNormalization":
            scale = batch_norm_scale([constants.get(name, torch.zeros(0)) for name in after.inputs], after.attributes)
            weight = weight * scale.reshape([-1] + [1] * (weight.ndim - 1))
        elif not (after.op == "Add" and any(name in constants for name in after.inputs)):
            break
        leaving = after.output
        members.append(leaving)
        if after.op == "BatchNormalization":
            break
    return Layer(product.inputs[0], leaving, weight, product, tuple(members))
