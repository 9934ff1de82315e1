"""Lengths that a model leaves open, taken from the rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from onnxbound.data.keys import Role
from onnxbound.data.open import Data, Findings, Wanted, opened_arrays
from onnxbound.data.preprocessing import Layout, Shape
from onnxbound.errors import DataError, Problem

Dims = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class _OpenInput:
    """An input with unknown lengths, which count as 0 when arrays are told apart."""

    input: str
    input_shape: Shape
    input_type: np.dtype[np.generic]
    class_labels: tuple[int | str, ...]
    parts: Mapping[str, Shape] = field(default_factory=dict)


def row_lengths(
    data: Data, name: str, dims: Dims, layout: Layout | None = None, *, x_key: str | None = None, role: Role = "train"
) -> Shape:
    """Find the shape that the rows of a data set give an input with open lengths.

    Args:
        data: As `open_rows` takes it.
        name: The input; empty if only the names in the file decide.
        dims: Its lengths without the batch, None where open.
        layout: How the file is laid out where it differs from the model.
        x_key: Key of the inputs among several arrays.
        role: Whether keys that end in _train or in _test come first.

    Raises:
        DataError: The rows cannot be found, or do not fit the lengths that the model states.
    """
    findings = Findings()
    spec = _OpenInput(name, tuple(n or 0 for n in dims), np.dtype(np.float32), ())
    inputs, _ = findings.need(lambda: opened_arrays(data, Wanted(spec, x_key, None, role, False, findings)))
    row = inputs.shape[1:]
    last_first, first_last = (*row[-1:], *row[:-1]), (*row[1:], *row[:1])
    likely = {"nhwc": [last_first], "nchw": [first_last], "flat": []}.get(layout or "", [row, last_first, first_last])
    for shape in likely:
        filled = _filled(shape, dims)
        if filled is not None:
            return filled
    expected = f"({', '.join('any' if n is None else str(n) for n in dims)})"
    problem = Problem(inputs.name, f"expected rows {expected}, found {row}", "give the shape of a row: `input_shape`")
    raise DataError("data-shape", "The model leaves lengths open, and the rows do not determine them.", [problem])


def _filled(shape: Shape, dims: Dims) -> Shape | None:
    """Fill the model's open lengths with those of a row; axes of length 1 may be missing or added."""
    if len(shape) != len(dims):
        longer = iter(n for n in shape if n != 1)
        shape = tuple(1 if n == 1 else next(longer, 0) for n in dims) + tuple(longer)
    fits = len(shape) == len(dims) and all(m > 0 and n in (None, m) for n, m in zip(dims, shape, strict=True))
    return shape if fits else None
