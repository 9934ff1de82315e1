"""Arrays of the caller, read where they are and never copied as a whole."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import ArrayFile, invalid


@dataclass(frozen=True)
class ArrayInMemory:
    """An array as rows of a data set, with the interface of `ArrayFile`.

    Attributes:
        name: What to call it in messages.
        values: `(n, *row)`, the caller's own.
    """

    name: str
    values: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, *row)`."""
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its element type."""
        return self.values.dtype

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Copy the rows at these places, in C order."""
        return np.ascontiguousarray(self.values[index])


OneArray = ArrayFile | ArrayInMemory


def in_memory(name: str, values: object) -> ArrayInMemory:
    """Convert an array, a tensor or nested lists by NumPy, without a copy if it has a buffer.

    Raises:
        DataError: data-invalid, it is no array.
    """
    try:
        return ArrayInMemory(name, np.asarray(values))
    except (RuntimeError, TypeError, ValueError) as error:
        raise invalid(name, f"NumPy cannot make an array of it: {error}", "give what np.asarray takes") from error
