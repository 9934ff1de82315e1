"""Lipschitz constants, in the Euclidean norm, of what lies between weighted layers."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from tests.oracle.torch_net import Net, Node
from tests.oracle.torch_ops import OPERATIONS


def _node(node: Node, values: Mapping[str, Tensor]) -> float:
    """The constant of one weight-free node at the shapes it has in `values`."""
    if node.op == "LeakyRelu":
        return max(1.0, abs(float(node.attributes.get("alpha", 0.01))))
    if node.op == "MaxPool":
        axes = len(node.attributes["kernel_shape"])
        strides, dilations = (node.attributes.get(name, [1] * axes) for name in ("strides", "dilations"))
        overlap = [
            min(math.ceil(k * math.gcd(dilation, stride) / stride), windows)
            for k, stride, dilation, windows in zip(
                node.attributes["kernel_shape"], strides, dilations, values[node.output].shape[2:], strict=True
            )
        ]
        return math.sqrt(math.prod(overlap))
    if node.op in {"AveragePool", "GlobalAveragePool"}:
        # The rows of an averaging matrix sum to at most 1; its column sums are the gradient of the sum of its outputs.
        pixels = torch.ones_like(values[node.inputs[0]][:1]).requires_grad_()
        (column_sums,) = torch.autograd.grad(OPERATIONS[node.op]([pixels], node.attributes).sum(), pixels)
        return math.sqrt(float(column_sums.max()))
    if node.op in {"Relu", "Add", "Concat", "Flatten", "Reshape", "Transpose", "Identity"}:
        return 1.0
    raise NotImplementedError(f"no Lipschitz constant for {node.op}")


def between(net: Net, source: int, values: Mapping[str, Tensor]) -> dict[int, float]:
    """l_{i,t} for every layer t (0-based) that x^i, i = `source`, feeds through weight-free nodes.

    Compositions multiply, paths add.

    Args:
        net: The network.
        source: 0-based index of layer i.
        values: Every tensor at some rows, for the shapes.
    """
    weighted = {name for layer in net.layers for name in layer.nodes}
    constant = {net.layers[source].leaving: 1.0}
    for node in net.nodes:
        arriving = [constant[name] for name in node.inputs if name in constant]
        if arriving and node.output not in weighted:
            constant[node.output] = _node(node, values) * sum(arriving)
    return {t: constant[layer.entering] for t, layer in enumerate(net.layers) if layer.entering in constant}
