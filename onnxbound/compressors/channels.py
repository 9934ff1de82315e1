"""Which entries of which weights belong to one channel, or one hidden unit: what has to go together if it goes.

Every channel of every tensor has a number. An operator that works channel by channel hands numbers on; a sum of two
tensors makes theirs equal; flattening repeats them; concatenation lists them. What any other operator reads stays, as
do the inputs and the logits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

Numbers = NDArray[np.int64]

_HANDED_ON = {
    "Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "Identity", "Dropout", "HardSwish", "HardSigmoid", "Elu", "Selu",
    "Softplus", "Neg", "Abs", "Gelu", "Mish", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
}  # fmt: skip
_ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Max", "Min"}


@dataclass(frozen=True)
class Slice:
    """An axis of an initializer whose places belong to channels.

    Attributes:
        tensor: The initializer.
        axis: Which; of a shape, the entry that is the length of such an axis.
        numbers: Of the channels, one per place.
        written: Whether it makes these channels, and does not read them.
        in_shape: Whether the initializer is a shape.
    """

    tensor: str
    axis: int
    numbers: Numbers
    written: bool = False
    in_shape: bool = False


class Channels:
    """The channels of a model.

    Attributes:
        slices: Where they are in its initializers.
        grouped: Depthwise convolutions by their weight, whose groups are channels.
        dims: Initializer to its shape.
    """

    def __init__(self, model: ModelProto, logits: str) -> None:
        self.slices: list[Slice] = []
        self.grouped: set[str] = set()
        self._parent: list[int] = []
        self._fixed: list[Numbers] = []
        self._of: dict[str, Numbers] = {}
        self.dims = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._uses = [name for node in model.graph.node for name in node.input]
        self._shapes = _shapes(model)
        for value in model.graph.input:
            if value.name not in self.dims and len(self._shapes.get(value.name, ())) > 1:
                self._fix(self._new(value.name))
        for node in model.graph.node:
            if not self._follow(node):
                for name in node.input:
                    self._fix(self._of.get(name))
                for name in node.output:
                    if len(self._shapes.get(name, ())) > 1:
                        self._fix(self._new(name))
        for name in [logits, *(value.name for value in model.graph.output)]:
            self._fix(self._of.get(name))
        parents = np.array([self._root(number) for number in range(len(self._parent))], np.int64)
        self._fixed = [parents[numbers] for numbers in self._fixed]
        self.slices = [
            Slice(each.tensor, each.axis, parents[each.numbers], each.written, each.in_shape) for each in self.slices
        ]

    @property
    def free(self) -> Numbers:
        """Numbers of channels that may go."""
        every = np.unique(np.concatenate([np.empty(0, np.int64), *(each.numbers for each in self.slices)]))
        return np.setdiff1d(every, np.concatenate([np.empty(0, np.int64), *self._fixed]))

    def reads(self, weight: str) -> Numbers | None:
        """The channels that an initializer multiplies, one per entry of a unit without the taps; None where unknown."""
        return next((s.numbers for s in self.slices if s.tensor == weight and not s.written), None)

    def without(self, model: ModelProto, gone: Iterable[int]) -> dict[str, Numbers]:
        """Cut channels out of a model, in place; initializer to the units that are left of it."""
        left, out = {}, np.fromiter(gone, np.int64)
        for each in self.slices:
            (tensor,) = [t for t in model.graph.initializer if t.name == each.tensor]
            values, keep = numpy_helper.to_array(tensor), np.flatnonzero(~np.isin(each.numbers, out))
            if each.in_shape:
                values = values.copy()
                values[each.axis] = len(keep)
            else:
                values = np.take(values, keep, each.axis)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
            for value in model.graph.input:  # where old files list their constants too
                if value.name == tensor.name:
                    value.CopyFrom(helper.make_tensor_value_info(value.name, tensor.data_type, tensor.dims))
            if each.written:
                left[each.tensor] = keep
        for node in model.graph.node:
            if node.op_type == "Conv" and node.input[1] in self.grouped:
                (group,) = [attribute for attribute in node.attribute if attribute.name == "group"]
                group.i = len(left[node.input[1]])
        del model.graph.value_info[:]
        return left

    def _new(self, name: str) -> Numbers:
        count = self._shapes[name][1]
        start = len(self._parent)
        self._parent += range(start, start + count)
        self._of[name] = np.arange(start, start + count)
        return self._of[name]

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def _fix(self, numbers: Numbers | None) -> None:
        if numbers is not None:
            self._fixed.append(numbers)

    def _slice(self, name: str, axis: int, numbers: Numbers, *, written: bool = False) -> None:
        """Of a constant; one that is read elsewhere too, or is no plain array of floats, stays as it is."""
        tensor = self._tensors[name]
        plain = self._uses.count(name) == 1 and tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
        if not plain or tensor.dims[axis] != len(numbers):
            self._fix(numbers)
        self.slices.append(Slice(name, axis, numbers, written))

    def _follow(self, node: NodeProto) -> bool:
        """Whether the operator is known here, and its channels with it."""
        name, found = (node.input[0] if node.input else ""), self._of.get(node.input[0]) if node.input else None
        given, result = self._shapes.get(name, ()), node.output[0]
        shape = self._shapes.get(result, ())
        if node.domain not in ("", "ai.onnx") or len(shape) < 2:
            return False
        if node.op_type in _ELEMENTWISE:
            return self._elementwise(node, len(shape))
        if node.op_type == "Concat":
            parts = [self._of.get(each) for each in node.input]
            if _attribute(node, "axis", 1) not in (1, 1 - len(shape)) or any(part is None for part in parts):
                return False
            self._of[result] = np.concatenate([part for part in parts if part is not None])
            return True
        if found is None:
            return False
        if node.op_type in _HANDED_ON:
            self._of[result] = found
            return all(each in self.dims for each in node.input[1:] if each)
        if node.op_type == "BatchNormalization" and self.dims.keys() >= set(node.input[1:]):
            for each in node.input[1:]:
                self._slice(each, 0, found, written=True)
            self._of[result] = found
            return True
        if node.op_type in ("Flatten", "Reshape"):
            return self._flattened(node, found, given, shape)
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in self.dims:
            return self._weighted(node, found, given)
        return False

    def _weighted(self, node: NodeProto, found: Numbers, given: tuple[int, ...]) -> bool:
        weight, result = node.input[1], node.output[0]
        dims = self.dims[weight]
        bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
        if bias is not None and bias not in self.dims:
            return False
        units = 0
        if node.op_type == "Conv":
            groups = _attribute(node, "group", 1)
            if groups > 1:
                if not groups == dims[0] == len(found) or dims[1] != 1:
                    return False
                self.grouped.add(weight)
                self._of[result] = found
            else:
                self._slice(weight, 1, found)
        else:
            if len(given) != 2 or len(dims) != 2 or _attribute(node, "transA", 0):
                return False
            units = int(node.op_type == "MatMul" or not _attribute(node, "transB", 0))
            self._slice(weight, 1 - units, found)
        numbers = self._of[result] if weight in self.grouped else self._new(result)
        self._slice(weight, units, numbers, written=True)
        if bias is not None:
            if len(self.dims[bias]) != 1:
                self._fix(numbers)
                return True
            self._slice(bias, 0, numbers, written=True)
        return True

    def _elementwise(self, node: NodeProto, rank: int) -> bool:
        names = [name for name in node.input if name not in self.dims]
        computed, first = [self._of.get(name) for name in names], self._of.get(names[0])
        if first is None or any(each is None or len(each) != len(first) for each in computed):
            return False
        if any(len(self._shapes.get(name, ())) != rank for name in names):
            return False
        for other in computed[1:]:
            assert other is not None
            for a, b in zip(first.tolist(), other.tolist(), strict=True):
                self._parent[self._root(a)] = self._root(b)
        for name in node.input:
            dims = self.dims.get(name, ())
            axis = 1 - (rank - len(dims))
            if name in self.dims and axis >= 0 and dims[axis] != 1:
                self._slice(name, axis, first, written=True)
        self._of[node.output[0]] = first
        return True

    def _flattened(self, node: NodeProto, found: Numbers, given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
        inner = prod(given[2:])
        if len(shape) != 2 or shape[1] != len(found) * inner:
            return False
        self._of[node.output[0]] = np.repeat(found, inner)
        if node.op_type == "Flatten":
            return int(_attribute(node, "axis", 1)) == 1
        if node.input[1] not in self._tensors or self._uses.count(node.input[1]) > 1:
            return False
        target = numpy_helper.to_array(self._tensors[node.input[1]])
        if target[1] > 0:
            self.slices.append(Slice(node.input[1], 1, np.repeat(found, inner), in_shape=True))
        return bool(target[0] <= 0 or given[0] > 0)


def _shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """Tensor name to its lengths, 0 where one is open."""
    graph = shape_inference.infer_shapes(model).graph
    return {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in [*graph.input, *graph.value_info, *graph.output]
    }


def _attribute(node: NodeProto, name: str, default: int) -> int:
    return next((int(helper.get_attribute_value(a)) for a in node.attribute if a.name == name), default)
