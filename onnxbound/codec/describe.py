"""A network taken apart: its skeleton, and the numbers that were in it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxbound.codec.skeleton import INPUT, OUTPUT, Skeleton, canonical
from onnxbound.graph.network import Network
from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.operator import Operator
from onnxbound.operators.weighted import Weighted


@dataclass(frozen=True, slots=True)
class Description:
    """A network as what is public and what has to be written down.

    Attributes:
        skeleton: The graph.
        tensors: For each of its holes, in their order, the float32 tensor that was there.
        parameters: The holes that are A^i or bias of a layer, in the order of `onnxbound.linear.curvature.parameters`.
    """

    skeleton: Skeleton
    tensors: Mapping[str, NDArray[np.float32]]
    parameters: tuple[str, ...]


def describe(network: Network) -> Description:
    """Split a network into what is public and what has to be written down.

    Args:
        network: Any whose operators a skeleton may contain; BatchNormalization is folded into its layers.

    Raises:
        Malformed: It has an operator that a skeleton may not contain.
    """
    single = _row_by_row(network.cast(np.float32))
    emitter = Emitter()
    live = {single.input: Value(INPUT, single.input_shape)}
    for step in single.steps:
        live[step.output] = step.operator.emit_act(emitter, *(live[name] for name in step.inputs))
    constants = [c for layer in single.layers for c in (layer.operator.weight, layer.operator.bias) if c is not None]
    emitter.rename(live[single.output].name, OUTPUT)
    model = emitter.model(
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", *single.input_shape])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", single.classes])],
    )
    _drop_last_identity(model)
    tensors = _take_out_floats(model)
    skeleton = canonical(model)
    order = [name for node in model.graph.node for name in node.input if name in tensors]
    holes = dict(zip(dict.fromkeys(order), (hole.name for hole in skeleton.holes), strict=True))
    return Description(
        skeleton=skeleton,
        tensors={hole: tensors[name] for name, hole in holes.items()},
        parameters=tuple(holes[emitter.constant(c)] for c in constants),
    )


def _row_by_row(network: Network) -> Network:
    """The weights in C order: how a file keeps them is no part of a skeleton."""

    def ordered(operator: Operator) -> Operator:
        if not isinstance(operator, Weighted):
            return operator
        return replace(operator, weight=np.ascontiguousarray(operator.weight))

    return replace(network, steps=tuple(replace(step, operator=ordered(step.operator)) for step in network.steps))


def _drop_last_identity(model: ModelProto) -> None:
    """Let the node before it write the logits."""
    source = model.graph.node.pop().input[0]
    for node in model.graph.node:
        node.output[:] = [OUTPUT if name == source else name for name in node.output]
        node.input[:] = [OUTPUT if name == source else name for name in node.input]


def _take_out_floats(model: ModelProto) -> dict[str, NDArray[np.float32]]:
    """Make every floating constant an input of the graph, and return the constants."""
    tensors: dict[str, NDArray[np.float32]] = {}
    integers = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.INT64:
            integers.append(tensor)
            continue
        values = np.asarray(numpy_helper.to_array(tensor), np.float32)
        tensors[tensor.name] = values
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, values.shape))
    del model.graph.initializer[:]
    model.graph.initializer.extend(integers)
    return tensors
