"""Lower the format and operator set of a model to what the installed onnxruntime takes, if that changes nothing."""

from functools import cache

import onnx
from onnx import ModelProto, TensorProto, defs, helper

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.model_file import default_opset
from onnxbound.run.installation import import_onnxruntime

_EVERY_IR, _EVERY_OPSET = 11, 23
"""What the oldest onnxruntime that is supported takes."""


def lowered(model: ModelProto) -> tuple[ModelProto, str]:
    """Return a model that the runtime takes, and what was done, in words; the model itself if nothing was needed.

    The opset is lowered only if each operator of the model has the same definition in both.

    Raises:
        ModelError: model-opset, the definition of an operator changed in between.
    """
    opset = default_opset(model)
    if model.ir_version <= _EVERY_IR and opset <= _EVERY_OPSET:
        return model, ""
    newest_ir, newest_opset = _newest()
    if model.ir_version <= newest_ir and opset <= newest_opset:
        return model, ""
    changed = _defined_anew(model, newest_opset, opset)
    if changed:
        do = f"export with opset {newest_opset}, or install a newer onnxruntime"
        raise ModelError(
            "model-opset",
            f"The installed onnxruntime supports opset {newest_opset} at most; the model uses opset {opset}.",
            [Problem(op, f"its definition changed between opset {newest_opset} and {opset}", do) for op in changed],
        )
    result = ModelProto()
    result.CopyFrom(model)
    result.ir_version = min(model.ir_version, newest_ir)
    for entry in result.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = min(entry.version, newest_opset)
    return result, (
        f"run as IR version {result.ir_version}, opset {default_opset(result)}, which the installed onnxruntime takes;"
        f" the file says {model.ir_version} and {opset}, and its operators are the same in both"
    )


def _defined_anew(model: ModelProto, old: int, new: int) -> list[str]:
    """Operators whose definition in opset `new` came after opset `old`, or may have: nobody knows an opset to come."""
    names = {node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")}
    if new > defs.onnx_opset_version():
        return sorted(names)
    return sorted(name for name in names if not defs.has(name) or defs.get_schema(name, new).since_version > old)


@cache
def _newest() -> tuple[int, int]:
    """The newest IR version and the newest opset that the runtime takes."""
    newest_ir = next((n for n in range(onnx.IR_VERSION, _EVERY_IR, -1) if _takes(n, _EVERY_OPSET)), _EVERY_IR)
    opsets = range(defs.onnx_opset_version(), _EVERY_OPSET, -1)
    return newest_ir, next((n for n in opsets if _takes(newest_ir, n)), _EVERY_OPSET)


def _takes(ir_version: int, opset: int) -> bool:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - whatever it says, it does not take the model
        return False
    return True
