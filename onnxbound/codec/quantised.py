"""The decoded network with its weights as small integers, each tensor with a DequantizeLinear."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from onnxbound.codec.network_code import NetworkCode
from onnxbound.codec.tensors import Levels, LowRank
from onnxbound.graph.small_integers import integer_tensor, largest_level

_FORMS = ((4, 21, 10), (8, 18, 8))
"""Bits of a level, and the opset and IR version of its file."""

INTEGER_FILES = tuple(f"decoded_int{width}.onnx" for width, *_ in _FORMS)


def quantised(model: ModelProto, code: NetworkCode) -> Mapping[str, bytes]:
    """`decoded_int4.onnx` or `decoded_int8.onnx`, the narrower that holds every integer; nothing if neither does.

    An integer times its step is rounded once, as in the decoded network. A tensor of low rank is kept as its two
    factors, whose product a runtime rounds in its own way.

    Args:
        model: The decoded network.
        code: The code that it was decoded from; not a difference from a prior network.
    """
    integers = [part for whole in code.parts for part in _integers(whole)]
    largest = max((int(np.abs(part.levels).max(initial=0)) for part in integers), default=0)
    for width, opset, version in _FORMS:
        if integers and largest <= largest_level(width):
            written = _written(model, code, width)
            written.opset_import[0].version, written.ir_version = opset, version
            return {f"decoded_int{width}.onnx": bytes(written.SerializeToString(deterministic=True))}
    return {}


def _integers(part: object) -> list[Levels]:
    if isinstance(part, LowRank):
        return [part.left, part.right]
    return [part] if isinstance(part, Levels) and not part.cosine else []


def _written(model: ModelProto, code: NetworkCode, width: int) -> ModelProto:
    written = ModelProto()
    written.CopyFrom(model)
    replaced = {}
    for hole, part in zip(code.architecture.holes, code.parts, strict=True):
        levels = _integers(part)
        if len(levels) == 1:
            replaced[hole.name] = [*_dequantised(written, hole.name, levels[0].levels.reshape(hole.shape), part, width)]
        elif levels:
            names = f"{hole.name}_left", f"{hole.name}_right"
            flat = (levels[0].levels, levels[1].levels.reshape(len(levels[1].levels), -1))
            nodes = [n for k in (0, 1) for n in _dequantised(written, names[k], flat[k], levels[k], width)]
            shape = numpy_helper.from_array(np.array(hole.shape, np.int64), f"{hole.name}_shape")
            written.graph.initializer.append(shape)
            nodes.append(helper.make_node("MatMul", names, [f"{hole.name}_product"]))
            nodes.append(helper.make_node("Reshape", [f"{hole.name}_product", shape.name], [hole.name]))
            replaced[hole.name] = nodes
    kept = [tensor for tensor in written.graph.initializer if tensor.name not in replaced]
    nodes = [node for new in replaced.values() for node in new] + list(written.graph.node)
    del written.graph.initializer[:], written.graph.node[:]
    written.graph.initializer.extend(kept)
    written.graph.node.extend(nodes)
    return written


def _dequantised(model: ModelProto, name: str, levels: NDArray[np.int64], part: object, width: int) -> tuple[NodeProto]:
    """Integers and their step as constants, and the node that multiplies them."""
    assert isinstance(part, Levels)
    model.graph.initializer.append(integer_tensor(f"{name}_levels", levels, width))
    model.graph.initializer.append(numpy_helper.from_array(np.array(part.step, np.float32), f"{name}_step"))
    return (helper.make_node("DequantizeLinear", [f"{name}_levels", f"{name}_step"], [name]),)
