"""Numbers per row, kept on disk: memory does not grow with the number of rows."""

import tempfile
from types import TracebackType
from typing import Self

import numpy as np

from onnxbound.errors import OutputError, Problem
from onnxbound.results import Float64Array

_CHUNK_ROWS = 4096


class Spool:
    """A table of float64 in a temporary file that is gone when it is closed; its rows arrive in any order."""

    def __init__(self, rows: int, columns: int) -> None:
        self._rows = rows
        self._columns = columns
        self._file = tempfile.TemporaryFile(prefix="onnxbound-")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def write(self, start: int, rows: Float64Array) -> None:
        """Rows (b, columns) from a place on.

        Raises:
            OutputError: output-unwritable, the temporary folder is full.
        """
        try:
            self._file.seek(start * self._columns * 8)
            self._file.write(np.ascontiguousarray(rows, np.float64).tobytes())
            self._file.flush()
        except OSError as error:
            raise OutputError(
                "output-unwritable",
                f"Numbers per row cannot be kept in {tempfile.gettempdir()}: {error.strerror}.",
                [Problem(tempfile.gettempdir(), str(error), "free space there, or set TMPDIR to another folder")],
            ) from error

    def column(self, number: int) -> Float64Array:
        """One column, (rows,)."""
        result = np.empty(self._rows)
        self._file.seek(0)
        for start in range(0, self._rows, _CHUNK_ROWS):
            count = min(_CHUNK_ROWS, self._rows - start)
            chunk = np.frombuffer(self._file.read(count * self._columns * 8)).reshape(count, self._columns)
            result[start : start + count] = chunk[:, number]
        return result
