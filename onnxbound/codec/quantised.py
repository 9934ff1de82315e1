"""The decoded network in the form that runtimes for small integers read: integers and a DequantizeLinear."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxbound.codec.network_code import NetworkCode
from onnxbound.codec.tensors import Levels, LowRank

_FORMS = (("int4", TensorProto.INT4, 7, 21, 10), ("int8", TensorProto.INT8, 127, 18, 8))
"""Name, element type, largest level, and the oldest opset and IR version that have it."""

INTEGER_FILES = tuple(f"decoded_{name}.onnx" for name, *_ in _FORMS)


def quantised(model: ModelProto, code: NetworkCode) -> Mapping[str, bytes]:
    """`decoded_int4.onnx` or `decoded_int8.onnx`, the narrower that holds every level; nothing if none does.

    A level times its step is rounded once, as in the decoded network; a tensor of low rank is kept as its two factors,
    whose product a runtime rounds in its own way.

    Args:
        model: The decoded network.
        code: What it was decoded from, no difference from a prior.
    """
    integers = [part for whole in code.parts for part in _integers(whole)]
    largest = max((int(np.abs(part.levels).max(initial=0)) for part in integers), default=0)
    for name, kind, limit, opset, version in _FORMS:
        if integers and largest <= limit:
            written = _written(model, code, kind)
            written.opset_import[0].version, written.ir_version = opset, version
            return {f"decoded_{name}.onnx": bytes(written.SerializeToString(deterministic=True))}
    return {}


def _integers(part: object) -> list[Levels]:
    if isinstance(part, LowRank):
        return [part.left, part.right]
    return [part] if isinstance(part, Levels) and not part.cosine else []


def _written(model: ModelProto, code: NetworkCode, kind: int) -> ModelProto:
    written = ModelProto()
    written.CopyFrom(model)
    replaced = {}
    for hole, part in zip(code.architecture.holes, code.parts, strict=True):
        levels = _integers(part)
        if len(levels) == 1:
            replaced[hole.name] = [*_dequantised(written, hole.name, levels[0].levels.reshape(hole.shape), part, kind)]
        elif levels:
            names = f"{hole.name}_left", f"{hole.name}_right"
            flat = (levels[0].levels, levels[1].levels.reshape(len(levels[1].levels), -1))
            nodes = [n for k in (0, 1) for n in _dequantised(written, names[k], flat[k], levels[k], kind)]
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


def _dequantised(model: ModelProto, name: str, levels: NDArray[np.int64], part: object, kind: int) -> tuple[NodeProto]:
    """Integers and their step as constants, and the node that multiplies them."""
    assert isinstance(part, Levels)
    values: NDArray[np.uint8] = levels.ravel().astype(np.int8).view(np.uint8)
    if kind == TensorProto.INT4:
        pairs = np.append(values, np.zeros(values.size % 2, np.uint8)).reshape(-1, 2) & 15
        values = (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8)
    model.graph.initializer.append(helper.make_tensor(f"{name}_levels", kind, levels.shape, values.tobytes(), raw=True))
    model.graph.initializer.append(numpy_helper.from_array(np.array(part.step, np.float32), f"{name}_step"))
    return (helper.make_node("DequantizeLinear", [f"{name}_levels", f"{name}_step"], [name]),)
