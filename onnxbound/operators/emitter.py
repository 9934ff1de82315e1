"""Writing a computation out as an ONNX graph, one node at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from onnxbound.operators.shape import Array

OPSET = 18
"""Of everything that is written; the oldest that has all operators that are used."""

IR_VERSION = 8

_LARGE = 1 << 20
"""Bytes from which on a constant is worth keeping outside of a model."""


class Emitter:
    """Collects nodes and constants; tensors are float32 unless a node says otherwise.

    Attributes:
        half: Whether products of weights with tangents and deviations are taken in half precision.
    """

    def __init__(self, *, half: bool = False) -> None:
        self.half = half
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, Array] = {}
        self._names: dict[tuple[Any, ...], str] = {}

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output, and return its name; an empty input is an absent one."""
        (output,) = self.outputs(1, op, *inputs, **attributes)
        return output

    def outputs(self, count: int, op: str, *inputs: str, **attributes: Any) -> tuple[str, ...]:
        """Append a node with several outputs, and return their names."""
        names = tuple(f"{op}_{len(self._nodes)}" + (f"_{k}" if count > 1 else "") for k in range(count))
        self._nodes.append(helper.make_node(op, inputs, names, **attributes))
        return names

    def constant(self, values: Array) -> str:
        """The name of a constant; an array that was given before is not stored again."""
        return self._kept(_place(values), values)

    def variable(self, name: str, values: Array) -> None:
        """Read an array under a name, as an input of the graph, wherever it would be a constant."""
        self._names[_place(values)] = name

    def number(self, value: float, dtype: DTypeLike = np.float32) -> str:
        """A scalar."""
        return self._small(np.array(value, dtype))

    def integers(self, *values: int) -> str:
        """An int64 vector."""
        return self._small(np.array(values, np.int64))

    def _small(self, values: Array) -> str:
        return self._kept((values.dtype.str, values.shape, values.tobytes()), values)

    def _kept(self, key: tuple[Any, ...], values: Array) -> str:
        if key not in self._names:
            self._names[key] = f"constant_{len(self._constants)}"
            self._constants[self._names[key]] = values
        return self._names[key]

    def rename(self, name: str, wanted: str) -> None:
        """The tensor under a name of the caller's choice."""
        self._nodes.append(helper.make_node("Identity", [name], [wanted]))

    def model(
        self,
        inputs: Sequence[ValueInfoProto],
        outputs: Sequence[ValueInfoProto],
        outside: dict[str, Array] | None = None,
    ) -> ModelProto:
        """Everything so far as a model.

        Args:
            inputs: Of the graph.
            outputs: Of the graph.
            outside: Receives large constants, by name, which the model then only refers to; None to keep all in it.
        """
        constants = []
        for name, values in self._constants.items():
            array = np.ascontiguousarray(values)
            if outside is None or array.nbytes < _LARGE:
                constants.append(onnx.numpy_helper.from_array(array, name))
            else:
                outside[name] = array
                constants.append(_mention(name, array))
        graph = helper.make_graph(self._nodes, "onnxbound", inputs, outputs, constants)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="onnxbound")


def _place(values: Array) -> tuple[Any, ...]:
    """Where an array lies: every view of the same entries in the same order is the same constant."""
    strides = [step for step, length in zip(values.strides, values.shape, strict=True) if length > 1]
    return values.__array_interface__["data"][0], values.shape, *strides, values.dtype.str


def _mention(name: str, values: Array) -> TensorProto:
    """A tensor without its content, which whoever runs the model hands over."""
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=values.shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="outside")
    return tensor
