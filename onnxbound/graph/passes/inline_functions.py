"""Functions that the file defines are inlined, so that every operator is in the main graph."""

from onnx import ModelProto, defs, inliner

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.screen import RUNTIME_DOMAINS
from onnxbound.words import counted


def inline_functions(model: ModelProto) -> tuple[ModelProto, bool, str]:
    """Replace each call of a model-local function by the function's body.

    A body is read by the versions of the operator sets that the model imports, as onnxruntime reads it; the inliner
    leaves calls of functions that import others as they are.

    Raises:
        ModelError: model-graph-invalid, a call is left, or a function bears an operator's name: runtimes compute the
            operator, whatever the function's body says.
    """
    if not model.functions:
        return model, False, ""
    _require_own_names(model)
    result = ModelProto()
    result.CopyFrom(model)
    versions = {_domain(entry.domain): entry.version for entry in model.opset_import}
    other: dict[str, None] = {}
    for function in result.functions:
        for entry in function.opset_import:
            domain = _domain(entry.domain)
            if domain not in versions:
                versions[domain] = entry.version
                result.opset_import.add(domain=domain, version=entry.version)
            if entry.version != versions[domain]:
                what = f"{domain or 'ai.onnx'} {entry.version}"
                other[f"{function.name} imports {what} and is read by {versions[domain]}"] = None
                entry.version = versions[domain]
    result = inliner.inline_local_functions(result)
    functions = {(function.domain, function.name) for function in model.functions}
    left = [node for node in result.graph.node if (node.domain, node.op_type) in functions]
    if left:
        why = "it calls a function of the model that could not be inlined"
        problems = [
            Problem(f"node {node.name!r} ({node.op_type})", why, "export the model without that function")
            for node in left
        ]
        raise ModelError("model-graph-invalid", "Functions of the model cannot be inlined.", problems)
    return result, True, "; ".join([f"inlined {counted(len(model.functions), 'local function')}", *other])


def _require_own_names(model: ModelProto) -> None:
    problems = [
        Problem(
            f"function {f.name!r} of {f.domain!r}",
            "runtimes compute the operator of that name instead",
            "rename the function",
        )
        for f in model.functions
        if f.domain.startswith(RUNTIME_DOMAINS) or defs.has(f.name, _domain(f.domain))
    ]
    if problems:
        raise ModelError("model-graph-invalid", "Functions of the model have names of ONNX operators.", problems)


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name
