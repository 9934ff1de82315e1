"""An input axis of open length gets, for this run only, the length in `input_shape`, or else that in the data."""

from collections.abc import Callable, Mapping, Sequence

from onnx import ModelProto, ValueInfoProto

from onnxbound.errors import ModelError, Problem
from onnxbound.operators.operator import Shape

Dims = tuple[int | None, ...]
"""Lengths of a row's axes; None where the file leaves one open."""

RowShape = Sequence[int] | Mapping[str, Sequence[int]] | Callable[[str, Dims], Sequence[int]] | None
"""A shape, shapes by names of inputs, a function from an input's name and lengths to its shape, or nothing."""


def fix_lengths(model: ModelProto, shape: RowShape) -> tuple[ModelProto, dict[str, Shape], str]:
    """Give each input whose rows have open lengths the shape that the caller says.

    Args:
        model: The model, without the inputs that are held fixed.
        shape: The shape of one row, as the caller gives it.

    Returns:
        The model, the shapes that were given, by input, and what was done, in words.

    Raises:
        ModelError: model-inputs, a shape contradicts a length that the file states.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    result, fixed, declared = ModelProto(), dict[str, Shape](), dict[str, Dims]()
    result.CopyFrom(model)
    for value in result.graph.input:
        dims = _row(value)
        if value.name in weights or dims is None:
            continue
        declared[value.name] = dims
        wanted = _wanted(shape, value.name, dims) if None in dims else None
        if wanted is not None:
            _require_fit(value.name, dims, wanted)
            for dim, length in zip(value.type.tensor_type.shape.dim[1:], wanted, strict=True):
                dim.dim_value = length
            fixed[value.name] = wanted
    if not fixed:
        if isinstance(shape, Sequence) and tuple(shape) not in declared.values():
            for name, dims in declared.items():
                _require_fit(name, dims, tuple(shape))
        return model, {}, ""
    said = ", ".join(f"{name} {lengths}" for name, lengths in sorted(fixed.items()))
    return result, fixed, f"fixed the axes of unknown length for this run: rows of {said}"


def _row(value: ValueInfoProto) -> Dims | None:
    """Lengths of a row as the file declares them; None where there is no axis but that of the rows."""
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.dim_value > 0 else None for d in dims[1:]) if len(dims) > 1 else None


def _wanted(shape: RowShape, name: str, dims: Dims) -> Shape | None:
    if isinstance(shape, Mapping):
        shape = shape.get(name)
    lengths = shape(name, dims) if callable(shape) else shape
    return None if lengths is None else tuple(map(int, lengths))


def _require_fit(name: str, dims: Dims, shape: Shape) -> None:
    fits = len(dims) == len(shape) and all(n in (None, m) for n, m in zip(dims, shape, strict=True))
    if not fits or min(shape) < 1:
        row = f"({', '.join('any' if n is None else str(n) for n in dims)})"
        problem = Problem(f"input {name!r}", f"rows of {row}, not {shape}", "give `input_shape`, the batch left out")
        raise ModelError("model-inputs", f"`input_shape` does not fit the input {name!r}.", [problem])
