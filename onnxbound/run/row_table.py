"""Numbers per row, kept on disk: memory does not grow with the number of rows."""

import tempfile
import weakref
from collections.abc import Iterable

import numpy as np

from onnxbound.errors import OutputError, Problem
from onnxbound.results import Float64Array

Column = tuple[str | int, ...]
"""A field, and the layers it belongs to: `("margin",)`, `("beta", 3)`."""


class Table:
    """Named columns of float64, column by column in a temporary file that is deleted with the table.

    Rows are written in any order; rows that are never written are zero.
    """

    def __init__(self, rows: int, columns: Iterable[Column]) -> None:
        """An empty table.

        Args:
            rows: Number of rows.
            columns: Names of the columns, in the order in which `write` takes them.
        """
        self.rows = rows
        self._places = {name: place for place, name in enumerate(columns)}
        self._file = tempfile.TemporaryFile(prefix="onnxbound-", buffering=0)  # noqa: SIM115 - closed by the finalizer
        weakref.finalize(self, self._file.close)

    def __contains__(self, name: Column) -> bool:
        return name in self._places

    def write(self, start: int, rows: Float64Array) -> None:
        """Rows (b, columns) from a place on.

        Raises:
            OutputError: output-unwritable, the temporary folder is full.
        """
        for place, values in enumerate(np.ascontiguousarray(rows.T, np.float64)):
            self._write(place * self.rows + start, values)

    def _write(self, place: int, values: Float64Array) -> None:
        try:
            self._file.seek(8 * place)
            left = memoryview(values.tobytes())
            while left:  # a disk that fills up takes some of it, and says so the next time
                left = left[self._file.write(left) :]
        except OSError as error:
            raise OutputError(
                "output-unwritable",
                f"Numbers per row cannot be kept in {tempfile.gettempdir()}: {error.strerror}.",
                [Problem(tempfile.gettempdir(), str(error), "free space there, or set TMPDIR to another folder")],
            ) from error

    def overwrite(self, *name: str | int, values: Float64Array) -> None:
        """Replace the numbers of one column, (rows,).

        Raises:
            OutputError: output-unwritable, the temporary folder is full.
        """
        self._write(self._places[name] * self.rows, values)

    def column(self, *name: str | int, start: int = 0, stop: int | None = None) -> Float64Array:
        """One column, or its rows from start to stop, (rows,)."""
        stop = self.rows if stop is None else stop
        result = np.zeros(stop - start)
        self._file.seek(8 * (self._places[name] * self.rows + start))
        self._file.readinto(result.data.cast("B"))  # what lies behind the end of the file was never written
        return result
