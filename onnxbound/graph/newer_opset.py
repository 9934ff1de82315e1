"""Convert a model to a newer version of the default operator set, for what older ones cannot express."""

from onnx import ModelProto, helper, version_converter

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.model_file import default_opset

_KEPT = ("producer_name", "producer_version", "domain", "model_version", "doc_string")


def raised(model: ModelProto, opset: int) -> ModelProto:
    """Convert the model to that operator set; return it as it is where it has this one or a newer one.

    Names and metadata stay; shapes of inner tensors, which anyone can infer, are left out.

    Raises:
        ModelError: model-opset, an operator cannot be converted.
    """
    if default_opset(model) >= opset:
        return model
    try:
        result = version_converter.convert_version(model, opset)
    except (RuntimeError, ValueError, IndexError) as error:
        problem = Problem(f"opset {default_opset(model)}", str(error).strip(), f"export it with opset {opset}")
        raise ModelError("model-opset", f"The model cannot be converted to opset {opset}.", [problem]) from error
    del result.graph.value_info[:], result.metadata_props[:]
    result.metadata_props.extend(model.metadata_props)
    for field in _KEPT:
        setattr(result, field, getattr(model, field))
    result.ir_version = max(model.ir_version, helper.OP_SET_ID_VERSION_MAP["ai.onnx", opset])
    constants = {tensor.name for tensor in result.graph.initializer}
    inputs = [value for value in result.graph.input if value.name not in constants]
    del result.graph.input[:]
    result.graph.input.extend(inputs)
    return result
