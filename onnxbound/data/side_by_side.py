"""Several inputs per row as one array: flat and side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_in_memory import OneArray
from onnxbound.errors import DataError, Problem

_EXACT = 1 << 24
"""float32 represents all integers up to here."""


@dataclass(frozen=True)
class SideBySide:
    """Arrays with the same number of rows, as one array.

    Attributes:
        parts: `(n, *row)` each.
    """

    parts: "tuple[AnyArray, ...]"

    @property
    def name(self) -> str:
        """Theirs."""
        return " + ".join(part.name for part in self.parts)

    @property
    def shape(self) -> tuple[int, int]:
        """`(n, entries of all rows together)`."""
        return self.parts[0].shape[0], sum(prod(part.shape[1:]) for part in self.parts)

    @property
    def dtype(self) -> np.dtype[Any]:
        """int64 where all are integers, else float64."""
        whole = all(part.dtype.kind in "iub" for part in self.parts)
        return np.dtype(np.int64 if whole else np.float64)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of that index.

        Raises:
            DataError: data-type, an integer beside floats is too large for a float.
        """
        taken = [part.take(index).reshape(len(index), -1) for part in self.parts]
        for part, values in zip(self.parts, taken, strict=True):
            if self.dtype.kind == "f" and values.dtype.kind != "f" and (np.abs(values.astype(float)) > _EXACT).any():
                problem = Problem(
                    part.name, f"an absolute value is above {_EXACT:,}", "save smaller numbers, or floats"
                )
                raise DataError("data-type", f"{part.name} holds integers that float32 cannot represent.", [problem])
        return np.concatenate([values.astype(self.dtype) for values in taken], axis=1)


AnyArray = OneArray | SideBySide


def side_by_side(arrays: Mapping[str, AnyArray], parts: Mapping[str, tuple[int, ...]]) -> SideBySide:
    """Join the arrays named like the inputs of a model; each array must fit its input.

    Args:
        arrays: By name of input.
        parts: By name of input, the shape of its part of a row.

    Raises:
        DataError: data-shape or data-type; every array that does not fit is listed.
    """
    problems, rows = [], max(array.shape[0] if array.shape else 0 for array in arrays.values())
    for name, shape in parts.items():
        array = arrays[name]
        if tuple(n for n in array.shape[1:] if n != 1) != tuple(n for n in shape if n != 1) or not array.shape:
            problems.append(Problem(array.name, f"expected rows {shape}, found {array.shape[1:]}", "another array"))
        elif array.shape[0] != rows:
            problems.append(Problem(array.name, f"{array.shape[0]:,} rows, another input has {rows:,}", "as many rows"))
        elif array.dtype.kind not in "fiub":
            problems.append(Problem(array.name, f"{array.dtype} is not a real number", "save it as int64 or float32"))
    if problems:
        raise DataError("data-shape", "The arrays do not fit the inputs of the model.", problems)
    return SideBySide(tuple(arrays[name] for name in parts))
