"""Data sets in HDF5 files."""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import ArrayFile, Header, invalid, require_moderate_ratio
from onnxbound.data.spool import AGAIN, DAMAGED, extra, spool

_CHUNK_BYTES = 1 << 22


class Hdf5File:
    """The numeric data sets of a file, by their path in it; a data set elsewhere is not followed."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            DataError: data-extra or data-invalid.
        """
        self._path = path
        self._h5py = extra("h5py", "hdf5", "HDF5 files")
        try:
            self._file = self._h5py.File(path, "r")
            self._sets = dict(self._found(self._file, ""))
        except DAMAGED as error:
            raise invalid(path.name, f"it is not an HDF5 file, or truncated: {error}", AGAIN) from error

    def headers(self) -> Mapping[str, Header]:
        """Shape and element type of every data set."""
        return {key: (tuple(found.shape), found.dtype) for key, found in self._sets.items()}

    def open(self, key: str) -> ArrayFile:
        """A data set, its rows copied once to a temporary file.

        Raises:
            DataError: data-invalid.
        """
        found, name = self._sets[key], f"{self._path.name}:{key}"
        try:
            elsewhere, packed = found.is_virtual or found.external, found.id.get_storage_size()
        except DAMAGED as error:
            raise invalid(name, f"it is damaged: {error}", AGAIN) from error
        if elsewhere:
            raise invalid(name, "its values lie in other files", "copy them into this one")
        size = prod(found.shape) * found.dtype.itemsize
        require_moderate_ratio(name, packed, size, "write it without compression")
        if not found.shape:
            return spool(name, (), found.dtype, [np.asarray(found[()])])
        return spool(name, tuple(found.shape), found.dtype, self._pieces(name, found))

    def _found(self, group: Any, prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
        """Data sets of numbers below a group, by hard links only."""
        for key in group:
            if not isinstance(group.get(key, getlink=True), self._h5py.HardLink):
                continue
            entry = group[key]
            if isinstance(entry, self._h5py.Dataset):
                if entry.shape is not None and entry.dtype.kind in "fiub":
                    yield prefix + key, entry
            elif isinstance(entry, self._h5py.Group) and depth < 8:
                yield from self._found(entry, f"{prefix}{key}/", depth + 1)

    @staticmethod
    def _pieces(name: str, found: Any) -> Iterator[NDArray[Any]]:
        row = max(1, prod(found.shape[1:]) * found.dtype.itemsize)
        rows = max(1, _CHUNK_BYTES // row)
        if found.chunks:
            rows = max(found.chunks[0], rows // found.chunks[0] * found.chunks[0])
        for start in range(0, found.shape[0], rows):
            try:
                yield found[start : start + rows]
            except DAMAGED as error:
                raise invalid(name, f"it cannot be unpacked: {error}", AGAIN) from error
