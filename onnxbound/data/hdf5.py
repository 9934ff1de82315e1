"""Data sets in HDF5 files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import ArrayFile, Header, invalid, require_moderate_ratio, require_regular
from onnxbound.data.spool import extra, reading, spool

_CHUNK_BYTES = 1 << 22
_BUILT_IN = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""deflate, shuffle, fletcher32, szip, n-bit and scale-offset, and LZF, which h5py brings."""


class Hdf5File:
    """The numeric data sets of a file, by their path in it; links to other files are not followed."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            DataError: data-extra or data-invalid.
        """
        require_regular(path)
        self._path = path
        self._h5py = extra("h5py", "hdf5", "HDF5 files")
        with _without_plugins(self._h5py), reading(path.name, "it is not an HDF5 file, or truncated"):
            self._file = self._h5py.File(path, "r")
            self._sets = dict(self._found(self._file, ""))

    def headers(self) -> Mapping[str, Header]:
        """Shape and element type of every data set."""
        return {key: (tuple(stored.shape), stored.dtype) for key, stored in self._sets.items()}

    def open(self, key: str) -> ArrayFile:
        """Open a data set; its rows are copied once to a temporary file.

        Raises:
            DataError: data-invalid.
        """
        stored, name = self._sets[key], f"{self._path.name}:{key}"
        with _without_plugins(self._h5py):
            with reading(name, "it is damaged"):
                elsewhere, packed = stored.is_virtual or stored.external, stored.id.get_storage_size()
                properties = stored.id.get_create_plist()
                filters = {properties.get_filter(place)[0] for place in range(properties.get_nfilters())}
            if elsewhere:
                raise invalid(name, "its values lie in other files", "copy them into this one")
            if foreign := sorted(filters - _BUILT_IN):
                why = f"it is packed by filters that are not HDF5's own: {foreign}"
                raise invalid(name, why, "write it with gzip, or without compression")
            size = prod(stored.shape) * stored.dtype.itemsize
            require_moderate_ratio(name, packed, size, "write it without compression")
            return spool(name, tuple(stored.shape), stored.dtype, self._pieces(name, stored))

    def _found(self, group: Any, prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
        """List the data sets of numbers below a group that hard links lead to."""
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
    def _pieces(name: str, stored: Any) -> Iterator[NDArray[Any]]:
        row = max(1, prod(stored.shape[1:]) * stored.dtype.itemsize)
        rows = max(1, _CHUNK_BYTES // row)
        if stored.chunks:
            rows = max(stored.chunks[0], rows // stored.chunks[0] * stored.chunks[0])
        starts = range(0, stored.shape[0], rows) if stored.shape else range(1)
        for start in starts if prod(stored.shape) else ():
            with reading(name, "it cannot be unpacked"):
                piece = np.asarray(stored[start : start + rows] if stored.shape else stored[()])
            yield piece


@contextmanager
def _without_plugins(h5py: Any) -> Iterator[None]:
    """Keep libhdf5 from loading filters from a folder meanwhile, whichever filter a file names."""
    folders = [h5py.h5pl.get(place) for place in range(h5py.h5pl.size())]
    for _ in folders:
        h5py.h5pl.remove(0)
    try:
        yield
    finally:
        for folder in folders:
            h5py.h5pl.append(folder)
