"""Rows that have to be decoded are decoded once, into a temporary file in which every row has its place."""

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


@contextmanager
def reading(name: str, why: str, do: str = AGAIN) -> Iterator[None]:
    """Whatever a library raises or warns of while it reads a file is an error of the file.

    A generator never yields inside: whoever takes its pieces would have these filters of warnings.

    Args:
        name: The file, and what is read of it.
        why: What goes wrong if something does.
        do: What to do then.

    Raises:
        DataError: data-invalid.
    """
    try:
        with warnings.catch_warnings():
            for kind in (UserWarning, RuntimeWarning):
                warnings.simplefilter("error", kind)
            warnings.simplefilter("error", append=True)  # a deprecation stays what it is: it is not of the file
            yield
    except DataError:
        raise
    except Exception as error:  # decoders raise whatever their libraries do, struct.error for one
        raise invalid(name, f"{why}: {error}", do) from error


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
        problem = Problem(what, f"the package {module.partition('.')[0]} is not there", extra_hint(name))
        raise DataError("data-extra", f"Reading {what} needs the extra {name!r}.", [problem]) from error
