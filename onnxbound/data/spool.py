"""Rows that must be decoded are decoded once, into a temporary file in which every row has its place."""

import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import ArrayFile, invalid, require_room
from onnxbound.errors import DataError, Problem, extra_hint

AGAIN = "write it again"


def spool(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], pieces: Iterable[NDArray[Any]]) -> ArrayFile:
    """Join pieces `(b, *shape[1:])` to one array in a temporary file.

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


@contextmanager
def reading(name: str, why: str, do: str = AGAIN) -> Iterator[None]:
    """Turn whatever a library raises or warns of while it reads a file into an error of the file.

    A generator must not yield inside, or the filters of warnings would hold for its caller.

    Args:
        name: The file, and what is read of it.
        why: What an error means.
        do: What to do then.

    Raises:
        DataError: data-invalid.
    """
    try:
        with warnings.catch_warnings():
            for kind in (UserWarning, RuntimeWarning):
                warnings.simplefilter("error", kind)
            warnings.simplefilter("error", append=True)  # a deprecation is not about the file
            yield
    except DataError:
        raise
    except Exception as error:  # decoders raise whatever their libraries raise, struct.error for example
        raise invalid(name, f"{why}: {error}", do) from error


def extra(module: str, name: str, what: str) -> Any:
    """Import a package of an extra.

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
        problem = Problem(what, f"the package {module.partition('.')[0]} is not there", extra_hint(name))
        raise DataError("data-extra", f"Reading {what} needs the extra {name!r}.", [problem]) from error
