"""The decoded network in the form that runtimes for small integers read: integers and a DequantizeLinear."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxbound.codec.network_code import NetworkCode
from onnxbound.codec.parts import Levels
from onnxbound.codec.skeleton import Skeleton

_FORMS = (
    ("int4", onnx.TensorProto.INT4, 7, 21, 10),
    ("int8", onnx.TensorProto.INT8, 127, 18, 8),
)
"""Name, element type, largest level, and the oldest opset and IR version that have it."""


def quantised(skeleton: Skeleton, code: NetworkCode) -> Mapping[str, bytes]:
    """`decoded_int4.onnx` or `decoded_int8.onnx`, the narrower that holds every level; nothing if none does.

    It computes what the decoded network computes: a level times its step is rounded once in both.
    """
    levels = [part.levels for part in code.parts if isinstance(part, Levels)]
    largest = max((int(np.abs(part).max(initial=0)) for part in levels), default=0)
    for name, kind, limit, opset, version in _FORMS:
        if levels and largest <= limit:
            return {f"decoded_{name}.onnx": _written(skeleton, code, kind, opset, version)}
    return {}


def _written(skeleton: Skeleton, code: NetworkCode, kind: int, opset: int, version: int) -> bytes:
    model = onnx.ModelProto()
    model.CopyFrom(skeleton.model)
    graph = model.graph
    del graph.input[1:]
    nodes = list(graph.node)
    del graph.node[:]
    for hole, part in zip(skeleton.holes, code.parts, strict=True):
        if not isinstance(part, Levels):
            graph.initializer.append(numpy_helper.from_array(part.tensor().reshape(hole.shape), hole.name))
            continue
        integers, scale = f"{hole.name}_levels", f"{hole.name}_step"
        graph.initializer.append(helper.make_tensor(integers, kind, hole.shape, part.levels.ravel().tolist()))
        graph.initializer.append(numpy_helper.from_array(np.array(part.step, np.float32), scale))
        graph.node.append(helper.make_node("DequantizeLinear", [integers, scale], [hole.name]))
    graph.node.extend(nodes)
    model.opset_import[0].version = opset
    model.ir_version = version
    return bytes(model.SerializeToString(deterministic=True))
