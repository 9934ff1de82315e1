"""A model with other weights: the same graph, and the two forms in which a layer may be written instead."""

from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxbound.graph.layer import Layer
from onnxbound.graph.model_file import default_opset, lift_constants, read_model
from onnxbound.graph.network import Network
from onnxbound.graph.passes.inline_functions import inline_functions
from onnxbound.operators.conv import Conv
from onnxbound.operators.operator import Array

_READERS = {"Conv", "Gemm", "MatMul"}
_OPTIONAL_BIAS = 11
"""Opset from which on Gemm may go without its third input."""

_OPTIONAL_INPUTS = 4
"""Version of the format from which on initializers need not be listed among the inputs."""


class Rewriter:
    """Changes the file of a network weight by weight; everything else stays as it is."""

    def __init__(self, network: Network) -> None:
        model, _ = read_model(network.path)
        self.model, _, _ = inline_functions(model)
        lift_constants(self.model)
        self._read = {name for node in self.model.graph.node for name in node.input}
        for tensor in self.model.graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL:
                tensor.CopyFrom(numpy_helper.from_array(np.asarray(network.external[tensor.name]), tensor.name))

    def can_rewrite(self, layer: Layer) -> bool:
        """Whether the layer's weight can be replaced in the file."""
        return bool(self.readers(layer)) or self._linear_classifier(layer) is not None

    def _linear_classifier(self, layer: Layer) -> NodeProto | None:
        """scikit-learn's operator for a linear net, if the layer is one; its weight is an attribute."""
        classifiers = [node for node in self.model.graph.node if node.op_type == "LinearClassifier"]
        if len(classifiers) != 1 or any(layer.weight_name in node.input for node in self.model.graph.node):
            return None
        coefficients = _attribute(classifiers[0], "coefficients", ())
        same = np.array_equal(np.asarray(coefficients, np.float32), np.asarray(layer.operator.weight).ravel())
        return classifiers[0] if same else None

    def readers(self, layer: Layer) -> list[NodeProto]:
        """The nodes that apply the layer's weight; [] where it cannot be replaced."""
        name = layer.weight_name
        nodes = [node for node in self.model.graph.node if name in node.input]
        plain = all(n.op_type in _READERS and list(n.input).index(name) == 1 and not n.domain for n in nodes)
        alike = len({is_transposed(node) for node in nodes}) == 1
        return nodes if plain and alike and self.constant(name) is not None else []

    def set_weight(self, layer: Layer, weight: Array) -> None:
        """Replace the weight of a layer, and of those that share it, by one of the same shape `(h_out, ...)`.

        A constant that nodes compute, such as a transposed initializer, becomes an initializer itself.
        """
        classifier = self._linear_classifier(layer)
        if classifier is not None:
            (attribute,) = [a for a in classifier.attribute if a.name == "coefficients"]
            attribute.floats[:] = np.asarray(weight, np.float32).ravel().tolist()
            return
        (node, *_) = self.readers(layer)
        old = self.constant(layer.weight_name)
        assert old is not None
        if is_transposed(node):
            weight = weight.T.reshape(old.shape)
        self.set_constant(layer.weight_name, np.ascontiguousarray(weight, old.dtype))
        self._drop_unused()

    def factorise(self, layer: Layer, left: Array, right: Array) -> None:
        """Write a layer as two: x -> right x -> left right x + bias.

        Gemm and MatMul become two of their kind; a convolution becomes one with r filters and one of 1 x 1.

        Args:
            layer: A layer of one group whose weight no other layer reads.
            left: `(h_out, r)`, without a folded scale.
            right: `(r, h_in)`, a kernel's taps in one row each.
        """
        (node,) = self.readers(layer)
        old = self.constant(layer.weight_name)
        assert old is not None
        inner, names = f"{layer.output}/factor", [f"{layer.weight_name}/right", f"{layer.weight_name}/left"]
        if node.op_type == "Conv":
            shapes = [(len(right), *old.shape[1:]), (*left.shape, *(1,) * (old.ndim - 2))]
            first = self._copy(node, [node.input[0], names[0]], [inner])
            second = helper.make_node("Conv", [inner, names[1], *node.input[2:]], node.output, name=node.name)
            constants = [right.reshape(shapes[0]), left.reshape(shapes[1])]
        elif node.op_type == "Gemm":
            first = helper.make_node(
                "Gemm", [node.input[0], names[0], *self._no_bias(layer, len(right))], [inner], transB=1
            )
            second = self._copy(node, [inner, names[1], *node.input[2:]], list(node.output))
            kept = [a for a in second.attribute if a.name != "transB"]
            del second.attribute[:]
            second.attribute.extend([*kept, helper.make_attribute("transB", 1)])
            constants = [right, left]
        else:
            first = helper.make_node("MatMul", [node.input[0], names[0]], [inner])
            second = helper.make_node("MatMul", [inner, names[1]], node.output, name=node.name)
            constants = [right.T, left.T]
        first.name = f"{layer.name}/factor"
        for name, values in zip(names, constants, strict=True):
            self.set_constant(name, np.ascontiguousarray(values, old.dtype))
        self._replace(node, [first, second])

    def per_position(self, layer: Layer, filters: Array) -> None:
        """Write a convolution as patches times a matrix, another one at every position.

        A convolution with one filter per tap and channel makes the patches.

        Args:
            layer: A convolution whose weight no other layer reads.
            filters: `(p, c_out, c_in/groups, *kernel)`, without a folded scale.
        """
        (node,) = self.readers(layer)
        operator = layer.operator
        assert isinstance(operator, Conv)
        old = self.constant(layer.weight_name)
        assert old is not None
        taps, channels, groups = prod(layer.kernel), layer.input_shape[0], operator.groups
        size, positions = operator.windows.output, len(filters)
        base = f"{layer.output}/local"
        pick = np.tile(np.eye(taps), (channels, 1)).reshape(channels * taps, 1, *layer.kernel)
        inside = channels // groups * taps
        grouped = filters.reshape(positions, groups, operator.channels // groups, inside)
        constants: dict[str, Array] = {
            f"{base}/pick": pick.astype(old.dtype),
            f"{base}/filters": np.ascontiguousarray(grouped.swapaxes(2, 3), old.dtype),
            f"{base}/split": np.array([0, groups, inside, positions], np.int64),
            f"{base}/join": np.array([0, operator.channels, *size], np.int64),
        }
        patches = self._copy(node, [node.input[0], f"{base}/pick"], [f"{base}/patches"])
        kept = [a for a in patches.attribute if a.name != "group"]
        del patches.attribute[:]
        patches.attribute.extend([*kept, helper.make_attribute("group", channels)])
        biased = len(node.input) > 2 and bool(node.input[2])
        joined = f"{base}/joined" if biased else node.output[0]
        nodes = [
            patches,
            helper.make_node("Reshape", [f"{base}/patches", f"{base}/split"], [f"{base}/rows"]),
            helper.make_node("Transpose", [f"{base}/rows"], [f"{base}/by_position"], perm=[3, 1, 0, 2]),
            helper.make_node("MatMul", [f"{base}/by_position", f"{base}/filters"], [f"{base}/products"]),
            helper.make_node("Transpose", [f"{base}/products"], [f"{base}/by_row"], perm=[2, 1, 3, 0]),
            helper.make_node("Reshape", [f"{base}/by_row", f"{base}/join"], [joined]),
        ]
        if biased:
            bias = self.constant(node.input[2])
            assert bias is not None
            constants[f"{base}/bias"] = bias.reshape(1, -1, *(1,) * len(size))
            nodes.append(helper.make_node("Add", [joined, f"{base}/bias"], node.output))
        for number, new in enumerate(nodes):
            new.name = f"{layer.name}/local_{number}"
        for name, values in constants.items():
            self.set_constant(name, values)
        self._replace(node, nodes)

    def note(self, key: str, value: str) -> None:
        """Set an entry of the model's metadata; an older one of the same key is replaced."""
        others = [entry for entry in self.model.metadata_props if entry.key != key]
        del self.model.metadata_props[:]
        self.model.metadata_props.extend([*others, onnx.StringStringEntryProto(key=key, value=value)])

    def _no_bias(self, layer: Layer, units: int) -> list[str]:
        """What Gemm adds where it adds nothing: before opset 11 zeros."""
        if default_opset(self.model) >= _OPTIONAL_BIAS:
            return []
        name = f"{layer.output}/factor/zeros"
        self.set_constant(name, np.zeros(units, layer.operator.weight.dtype))
        return [name]

    def _copy(self, node: NodeProto, inputs: list[str], outputs: list[str]) -> NodeProto:
        """The same operator with the same attributes, elsewhere in the graph."""
        copy = NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.output[:]
        copy.input.extend(inputs)
        copy.output.extend(outputs)
        return copy

    def _replace(self, node: NodeProto, others: list[NodeProto]) -> None:
        nodes: list[NodeProto] = []
        for old in self.model.graph.node:
            nodes += others if old.output == node.output else [old]
        copies = []
        for new in nodes:
            copy = NodeProto()
            copy.CopyFrom(new)
            copies.append(copy)
        del self.model.graph.node[:]
        self.model.graph.node.extend(copies)
        self._drop_unused()

    def constant(self, name: str) -> Array | None:
        """The value of an initializer, or of what nodes compute from initializers alone."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                return np.asarray(numpy_helper.to_array(tensor))
        return _folded(self.model, name)

    def set_constant(self, name: str, values: Array) -> None:
        """Make a tensor an initializer of this value, whatever it was."""
        tensor = numpy_helper.from_array(np.asarray(values), name)
        for old in self.model.graph.initializer:
            if old.name == name:
                old.CopyFrom(tensor)
                return
        for node in list(self.model.graph.node):
            if name in node.output:
                self.model.graph.node.remove(node)
        self.model.graph.initializer.append(tensor)
        if self.model.ir_version < _OPTIONAL_INPUTS:
            self.model.graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))

    def _drop_unused(self) -> None:
        """What was read and no longer is: initializers, and nodes that compute from nothing else."""
        graph = self.model.graph
        outputs = {value.name for value in graph.output}
        while True:
            read = {name for node in graph.node for name in node.input} | outputs
            constants = {tensor.name for tensor in graph.initializer}
            idle = [
                node
                for node in graph.node
                if read.isdisjoint(node.output)
                and not self._read.isdisjoint(node.output)
                and constants.issuperset(filter(None, node.input))
            ]
            if not idle:
                break
            for node in idle:
                graph.node.remove(node)
        unread = [tensor for tensor in graph.initializer if tensor.name in self._read - read]
        listed = {tensor.name for tensor in unread}
        for tensor in unread:
            graph.initializer.remove(tensor)
        for value in [value for value in graph.input if value.name in listed]:
            graph.input.remove(value)


def is_transposed(node: NodeProto) -> bool:
    """Whether a node reads its weight with the input's units first."""
    return node.op_type == "MatMul" or (node.op_type == "Gemm" and not _attribute(node, "transB", 0))


def multiply_adds(layer: Layer, rank: int) -> tuple[int, int]:
    """Per row, of a layer as it is and as two of this rank."""
    entries = layer.parameters
    units = layer.operator.channels
    return layer.positions * entries, layer.positions * rank * (entries // units + units)


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _folded(model: ModelProto, name: str) -> Array | None:
    """A tensor that depends on no input of the graph; None if it does, or has no value here."""
    from onnx.reference import ReferenceEvaluator

    producers = {output: node for node in model.graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    needed: list[NodeProto] = []
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in constants or not current:
            continue
        if current not in producers:
            return None
        needed.append(producers[current])
        waiting += producers[current].input
    if not needed or any(node.op_type == "DequantizeLinear" for node in needed):  # integers stay integers
        return None
    order = [node for node in model.graph.node if any(node.output == n.output for n in needed)]
    read = {i for node in order for i in node.input}
    graph = helper.make_graph(order, "constant", [], [onnx.ValueInfoProto(name=name)])
    graph.initializer.extend(tensor for key, tensor in constants.items() if key in read)
    small = helper.make_model(graph, opset_imports=[helper.make_opsetid("", default_opset(model))])
    (value,) = ReferenceEvaluator(small).run([name], {})
    return np.asarray(value)
