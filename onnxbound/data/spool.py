"""Rows that have to be decoded are decoded once, into a temporary file in which every row has its place."""

import tempfile
from collections.abc import Iterable
from importlib import import_module
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import ArrayFile, require_room
from onnxbound.errors import DataError, Problem

AGAIN = "write it again"
DAMAGED = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What libraries say of files that are none, beside exceptions of their own."""


def spool(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], pieces: Iterable[NDArray[Any]]) -> ArrayFile:
    """The array that pieces `(b, *shape[1:])`, one after another, make up.

    Raises:
        DataError: data-invalid, the temporary folder has no room for it.
    """
    require_room(name, prod(shape) * dtype.itemsize)
    file: IO[bytes] = tempfile.TemporaryFile(prefix="onnxbound-")  # noqa: SIM115 - the array closes it
    try:
        for piece in pieces:
            file.write(np.ascontiguousarray(piece, dtype).tobytes())
        file.flush()
    except BaseException:
        file.close()
        raise
    return ArrayFile(name, file, 0, shape, dtype)


def extra(module: str, name: str, what: str) -> Any:
    """A package of an extra.

    Args:
        module: What to import.
        name: The extra that brings it.
        what: The kind of file that needs it.

    Raises:
        DataError: data-extra, it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            "data-extra",
            f"Reading {what} needs the extra {name!r}.",
            [Problem(what, f"the package {module.partition('.')[0]} is not there", f"pip install 'onnxbound[{name}]'")],
        ) from error
