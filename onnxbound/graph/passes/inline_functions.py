"""Model-local functions are inlined, so that every operator stands in the main graph."""

from onnx import ModelProto, inliner


def inline_functions(model: ModelProto) -> tuple[ModelProto, bool, str]:
    """Replace each call of a model-local function by the function's body."""
    if not model.functions:
        return model, False, ""
    count = len(model.functions)
    return inliner.inline_local_functions(model), True, f"inlined {count} local functions"
