"""An input for which the user gives a value (`fixed`) becomes a constant."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from onnxbound.errors import ModelError, Problem
from onnxbound.operators.operator import Array


def hold_inputs(model: ModelProto, fixed: Mapping[str, Array]) -> tuple[ModelProto, bool, str]:
    """Turn each input named in `fixed` into an initializer of the input's type.

    A value of rank 0 fills the shape that the input declares, symbolic lengths taken for 1.

    Raises:
        ModelError: model-inputs, there is no such input or the value does not fit it.
    """
    if not fixed:
        return model, False, ""
    result = ModelProto()
    result.CopyFrom(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in result.graph.input if value.name not in weights}
    for name, value in fixed.items():
        if name not in inputs:
            problems = [Problem(f"input {known!r}", "an input of the model", "`fixed` takes it") for known in inputs]
            raise ModelError("model-inputs", f"The model has no input {name!r} that could be held fixed.", problems)
        result.graph.initializer.append(numpy_helper.from_array(_filled(inputs[name], value), name))
        result.graph.input.remove(inputs[name])
    return result, True, f"held fixed: {', '.join(sorted(fixed))}"


def _filled(declared: onnx.ValueInfoProto, value: Array) -> Array:
    tensor = declared.type.tensor_type
    shape = tuple(max(1, dim.dim_value) for dim in tensor.shape.dim)
    try:
        wanted = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        return np.ascontiguousarray(value, wanted) if value.ndim else np.full(shape, value, wanted)
    except (KeyError, TypeError, ValueError) as error:
        where = f"input {declared.name!r}"
        problem = Problem(where, f"a value of type {value.dtype}: {error}", "give a value of the input's own type")
        raise ModelError("model-inputs", f"The {where} cannot be held at what `fixed` gives.", [problem]) from error
