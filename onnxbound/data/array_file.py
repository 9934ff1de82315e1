"""Arrays that stay in their file. Rows are read when they are needed, so memory does not grow with their number."""

import os
import shutil
import stat
import tempfile
import tokenize
import warnings
import weakref
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from onnxbound.errors import DataError, Problem

Header = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and element type."""

_NO_HEADER = (
    EOFError, KeyError, MemoryError, OSError, RecursionError, SyntaxError, TypeError, ValueError, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""Errors of the parser of npy headers and of the unpacker on bytes that are not theirs."""

_MOST_MEMBERS = 10_000
_MODERATE_BYTES, _LARGEST_RATIO = 1 << 28, 200
_CHUNK_BYTES = 1 << 22
_LOCAL_HEADER_BYTES = 30


@dataclass(frozen=True)
class ArrayFile:
    """An array in C order in an open file; the file is closed when the array is gone.

    Attributes:
        name: File and key, for messages.
        file: Opened for reading.
        offset: Place of its first byte in the file.
        shape: `(n, *row)`.
        dtype: Its element type.
    """

    name: str
    file: IO[bytes]
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __post_init__(self) -> None:
        weakref.finalize(self, self.file.close)

    @property
    def row_bytes(self) -> int:
        """Bytes per row."""
        return prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Place behind its last byte."""
        return self.offset + prod(self.shape) * self.dtype.itemsize

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Read the rows at ascending places; neighbours are read together.

        Raises:
            DataError: data-invalid, the file ends too early.
        """
        result = np.empty((len(index), *self.shape[1:]), self.dtype)
        target = result.reshape(-1).view(np.uint8).data
        starts = np.flatnonzero(np.diff(index, prepend=-2) != 1)
        for start, stop in pairwise([*starts, len(index)]):
            self.file.seek(self.offset + int(index[start]) * self.row_bytes)
            piece = target[start * self.row_bytes : stop * self.row_bytes]
            if self.file.readinto(piece) != len(piece):  # type: ignore[attr-defined]
                raise invalid(self.name, "the file is truncated")
        return result


def open_npy(path: Path) -> ArrayFile:
    """Open the array of an npy file.

    Raises:
        DataError: data-not-found or data-invalid.
    """
    return _with_header(path.name, _open(path), path.stat().st_size)


def open_npz(path: Path) -> dict[str, zipfile.ZipInfo]:
    """List the keys of an npz file and the place of each array.

    Raises:
        DataError: data-not-found or data-invalid.
    """
    with _open(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise invalid(path.name, f"it is not an npz file, or truncated: {error}") from error
    names = [info.filename for info in members]
    if len(set(names)) < len(names):
        raise invalid(path.name, "it holds two arrays of one name")
    if len(names) > _MOST_MEMBERS:
        raise invalid(path.name, f"it holds {len(names)} arrays, more than onnxbound searches for inputs and labels")
    return {info.filename.removesuffix(".npy"): info for info in members if info.filename.endswith(".npy")}


def member_headers(path: Path, members: Mapping[str, zipfile.ZipInfo]) -> dict[str, Header]:
    """Read shape and element type of every array of an npz file, but not the arrays.

    Raises:
        DataError: data-invalid.
    """
    headers = {}
    with zipfile.ZipFile(path) as archive:
        for key, info in members.items():
            with _stream(archive, info) as stream:
                shape, _, dtype = _read_header(info.filename, stream)
            headers[key] = shape, dtype
    return headers


def open_member(path: Path, info: zipfile.ZipInfo) -> ArrayFile:
    """Open an array of an npz file: in place if it is stored, else unpacked once to a temporary file.

    Raises:
        DataError: data-invalid, or the temporary folder has no room for the unpacked array.
    """
    name = f"{path.name}:{info.filename}"
    _require_no_bomb(path, info, name)
    if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
        file = _open(path)
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER_BYTES)
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(info.header_offset + _LOCAL_HEADER_BYTES + lengths)
    else:
        file = _unpack(path, info, name)
    return _with_header(name, file, min(file.tell() + info.file_size, os.fstat(file.fileno()).st_size))


def _require_no_bomb(path: Path, info: zipfile.ZipInfo, name: str) -> None:
    """Refuse a size with which the array's own header does not agree."""
    with zipfile.ZipFile(path) as archive, _stream(archive, info) as stream:
        shape, _, dtype = _read_header(name, stream)
        declared = stream.tell() + prod(shape) * dtype.itemsize
    if info.file_size != declared:
        raise invalid(name, f"it holds {info.file_size:,} bytes where its header declares {declared:,}")
    require_moderate_ratio(name, info.compress_size, info.file_size, "if it is genuine, save it unpacked: numpy.savez")


def require_moderate_ratio(name: str, packed: int, unpacked: int, do: str) -> None:
    """Refuse a size that is too large for the packed bytes.

    Deflate makes at most 1032 bytes of one; rows of real data sets need less than a tenth of that.

    Raises:
        DataError: data-invalid.
    """
    if unpacked > max(_MODERATE_BYTES, _LARGEST_RATIO * packed):
        why = f"{packed:,} bytes unpack to {unpacked:,}, which only happens in a file made to fill a disk"
        raise invalid(name, why, do)


def invalid(name: str, why: str, do: str = "write it again with numpy.savez") -> DataError:
    """The error of a file that cannot be read."""
    return DataError("data-invalid", f"{name} cannot be read.", [Problem(name, why, do)])


def require_regular(path: Path) -> None:
    """Refuse a path that is there but is no regular file: opening a FIFO would block.

    Raises:
        DataError: data-not-found.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # opening it says why it cannot be opened
        return
    if not regular:
        problem = Problem(str(path), "it is a folder, a FIFO or a device", "give a file")
        raise DataError("data-not-found", f"{path} is not a file.", [problem])


def _open(path: Path) -> IO[bytes]:
    require_regular(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(
            "data-not-found",
            f"{path} cannot be opened: {error.strerror}.",
            [Problem(str(path), str(error.strerror), "check the path and its permissions")],
        ) from error
    if path.stat().st_size == 0:
        file.close()
        raise invalid(path.name, "the file is empty")
    return file


def _read_header(name: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the shape, the order (true for Fortran's), and the element type."""
    try:
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that Python 2 wrote the header
            shape, fortran, dtype = read(stream)
    except _NO_HEADER as error:
        raise invalid(name, f"it has no valid npy header ({error})") from error
    if dtype.hasobject:
        raise invalid(name, "it contains pickled Python objects, which are never loaded")
    if dtype.fields is not None or dtype.subdtype is not None:
        raise invalid(name, f"its element type {dtype} is not a number")
    if min(shape, default=0) < 0:
        raise invalid(name, f"its header declares the shape {shape}")
    return shape, fortran, dtype


def _with_header(name: str, file: IO[bytes], end: int) -> ArrayFile:
    """Read the array whose header begins at the file's position; it must lie before `end`."""
    try:
        shape, fortran, dtype = _read_header(name, file)
    except DataError:
        file.close()
        raise
    array = ArrayFile(name, file, file.tell(), shape, dtype)
    if array.end > end:
        raise invalid(name, "the file is truncated")
    return _in_c_order(array) if fortran and len(shape) > 1 else array


def _in_c_order(array: ArrayFile) -> ArrayFile:
    """Copy an array to a temporary file in which rows are contiguous."""
    (count, *row), item = array.shape, array.dtype.itemsize
    require_room(array.name, array.end - array.offset)
    file: IO[bytes] = tempfile.TemporaryFile(prefix="onnxbound-")  # noqa: SIM115 - the array closes it
    step = max(1, _CHUNK_BYTES // max(1, array.row_bytes))
    for start in range(0, count, step):
        # Entry by entry of a row, the first index fastest: in this order the file holds the values of all rows.
        rows = min(step, count - start)
        entries = np.empty((prod(row), rows), array.dtype)
        for place, values in enumerate(entries.view(np.uint8)):
            array.file.seek(array.offset + (place * count + start) * item)
            if array.file.readinto(values) != values.size:  # type: ignore[attr-defined]
                raise invalid(array.name, "the file is truncated")
        file.write(np.ascontiguousarray(entries.reshape(*reversed(row), rows).T).tobytes())
    file.flush()
    return ArrayFile(array.name, file, 0, array.shape, array.dtype)


def _stream(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(info)
    except (RuntimeError, NotImplementedError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise invalid(info.filename, str(error)) from error


def _unpack(path: Path, info: zipfile.ZipInfo, name: str) -> IO[bytes]:
    """Unpack a member to a temporary file of exactly the declared size, so that a small file cannot fill the disk."""
    require_room(name, info.file_size)
    file: IO[bytes] = tempfile.TemporaryFile(prefix="onnxbound-")  # noqa: SIM115 - the array closes it
    with zipfile.ZipFile(path) as archive, _stream(archive, info) as stream:
        try:
            shutil.copyfileobj(stream, file, _CHUNK_BYTES)
            file.flush()
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            file.close()
            raise invalid(name, f"it cannot be unpacked: {error}") from error
    file.seek(0)
    return file


def require_room(name: str, size: int) -> None:
    """Refuse a size for which the temporary folder has no room.

    Raises:
        DataError: data-invalid.
    """
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            "data-invalid",
            f"{name} takes {size / 2**20:.0f} MiB unpacked, and {folder} has {free / 2**20:.0f} MiB free.",
            [Problem(name, "it is compressed and has to be unpacked once", "set TMPDIR, or save it with numpy.savez")],
        )
