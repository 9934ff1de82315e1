"""Where a file keeps the weight and the bias of each layer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto

from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.graph.rewrite import Rewriter, is_transposed
from onnxbound.results import Float64Array

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
"""Element types of weights that can be given another value."""


@dataclass(frozen=True)
class Site:
    """A weight of the file that can be given another value.

    Attributes:
        layer: The first layer that has it.
        weight: Name of its initializer.
        shape: Of the initializer.
        transposed: Whether the initializer has the output units last.
        matrix: W as the file has it, units first, without what is folded in behind it, (h, n) for all groups.
        bias: Name of the initializer that is added to W x alone; None where there is none, or something is between.
        offset: Its values, (h,).
    """

    layer: Layer
    weight: str
    shape: tuple[int, ...]
    transposed: bool
    matrix: Float64Array
    bias: str | None
    offset: Float64Array

    def fed(self, matrix: Float64Array, offset: Float64Array) -> dict[str, NDArray[np.float32]]:
        """Weight and bias as the file would have them."""
        feeds = {self.weight: _laid_out(matrix.T if self.transposed else matrix, self.shape)}
        if self.bias is not None:
            feeds[self.bias] = offset.astype(np.float32)
        return feeds


def sites(network: Network) -> dict[int, Site]:
    """Layer index to its site, of layers that share a weight the first; layers whose weight is no float have none."""
    rewriter = Rewriter(network)
    found: dict[int, Site] = {}
    tensors = {tensor.name: tensor for tensor in rewriter.model.graph.initializer}
    uses = [name for node in rewriter.model.graph.node for name in node.input]
    for layer in network.layers:
        readers = rewriter.readers(layer)
        taken = any(site.weight == layer.weight_name for site in found.values())
        tensor = tensors.get(layer.weight_name)
        if not readers or taken or tensor is None or tensor.data_type not in FLOATS:
            continue
        transposed, shape = is_transposed(readers[0]), tuple(tensor.dims)
        matrix = np.asarray(layer.operator.matrix, np.float64)
        bias = _bias(rewriter, readers)
        if bias is not None and (uses.count(bias) > 1 or bias not in tensors):
            bias = None
        value = None if bias is None else rewriter.constant(bias)
        if value is None or value.shape != (len(matrix),) or value.dtype not in (np.float32, np.float16):
            bias, value = None, np.zeros(len(matrix))
        found[layer.index] = Site(layer, layer.weight_name, shape, transposed, matrix, bias, value.astype(np.float64))
    return found


def _bias(rewriter: Rewriter, readers: list[NodeProto]) -> str | None:
    """The third input of Conv and Gemm, or what the only reader of a product adds to it."""
    if len(readers) > 1:
        return None
    (node,) = readers
    if node.op_type != "MatMul":
        factors = {a.name: a.f for a in node.attribute if a.name in ("alpha", "beta")}
        plain = all(factor == 1 for factor in factors.values())
        return str(node.input[2]) if len(node.input) > 2 and plain else None
    adds = [reader for reader in rewriter.model.graph.node if node.output[0] in reader.input]
    if len(adds) != 1 or adds[0].op_type != "Add":
        return None
    return next((str(name) for name in adds[0].input if name != node.output[0]), None)


def _laid_out(values: Float64Array, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.reshape(shape), np.float32)
