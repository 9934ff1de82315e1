"""Data sets in Parquet, Arrow and Feather files: columns of lists, of encoded images, or one number per column."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import ArrayFile, invalid, require_regular
from onnxbound.data.image import decoded
from onnxbound.data.keys import Headers, input_key, label_key
from onnxbound.data.spool import extra, reading, spool
from onnxbound.errors import DataError, Problem


class ArrowFile:
    """The columns of a file."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            DataError: data-extra or data-invalid.
        """
        require_regular(path)
        self._path = path
        self._arrow = extra("pyarrow", "parquet", "Parquet and Arrow files")
        parquet = extra("pyarrow.parquet", "parquet", "Parquet and Arrow files")
        with reading(path.name, "it cannot be opened"):
            self._batches, self.schema, self.rows = self._opened(parquet)

    def _opened(self, parquet: Any) -> tuple[Any, Any, int]:
        """Return a function from columns to an iterator of record batches, the schema, and the number of rows."""
        # Read, not mapped: if a mapped file were cut short, this process would end.
        if self._path.suffix == ".parquet":
            file = parquet.ParquetFile(self._path)
            return lambda names: file.iter_batches(256, columns=names), file.schema_arrow, file.metadata.num_rows
        reader = self._arrow.ipc.open_file(self._arrow.OSFile(str(self._path)))
        count = sum(reader.get_batch(k).num_rows for k in range(reader.num_record_batches))

        def batches(names: Sequence[str]) -> Iterator[Any]:
            for k in range(reader.num_record_batches):
                yield reader.get_batch(k).select(names)

        return batches, reader.schema, count

    def labels(self, key: str) -> ArrayFile:
        """Read a column of integers, or of one-hot lists."""
        return self._spooled([key])

    def inputs(self, keys: Sequence[str]) -> ArrayFile:
        """Read one column of lists or images, or several columns of numbers as the entries of a row."""
        return self._spooled(keys)

    def _spooled(self, keys: Sequence[str]) -> ArrayFile:
        name = f"{self._path.name}:{','.join(keys)[:60]}"
        pieces = self._pieces(name, keys)
        first = next(pieces, None)
        if first is None:
            return spool(name, (0,), np.dtype(np.int64), [])

        def all_pieces() -> Iterator[NDArray[Any]]:
            yield first
            for piece in pieces:
                if piece.shape[1:] != first.shape[1:]:
                    why = f"rows of shape {first.shape[1:]} and of {piece.shape[1:]}"
                    raise invalid(name, why, "give all rows one shape")
                yield piece

        return spool(name, (self.rows, *first.shape[1:]), first.dtype, all_pieces())

    def _pieces(self, name: str, keys: Sequence[str]) -> Iterator[NDArray[Any]]:
        batches = self._batches(list(keys))
        while True:
            with reading(name, "it cannot be read"):
                batch = next(batches, None)
                if batch is None:
                    return
                columns = [self._array(name, batch.column(position)) for position in range(len(keys))]
                piece = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
            if len(piece):
                yield piece

    def _array(self, name: str, column: Any) -> NDArray[Any]:
        """Convert a column of a batch to `(b, *row)`."""
        types = self._arrow.types
        if column.null_count:
            raise invalid(name, "it has rows without a value", "fill or drop them")
        if types.is_struct(column.type):
            return decoded(name, (io.BytesIO(cell["bytes"]) for cell in column.to_pylist()))
        if types.is_binary(column.type) or types.is_large_binary(column.type):
            return decoded(name, (io.BytesIO(cell) for cell in column.to_pylist()))
        depth = []
        while types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type):
            length, rest = divmod(len(column.flatten()), max(1, len(column)))
            if rest or len(set(column.value_lengths().to_pylist())) > 1:
                raise invalid(name, "its lists differ in length", "give all rows one shape")
            depth.append(length)
            column = column.flatten()
        if column.null_count:
            raise invalid(name, "it has entries without a value", "fill or drop them")
        values = column.to_numpy(zero_copy_only=False)
        return np.asarray(values).reshape(-1, *depth) if depth else np.asarray(values)


def choose_columns(
    file: ArrowFile,
    path: Path,
    names: tuple[str, str | None, str | None],
    row: tuple[int, ...],
    role: Any,
    *,
    labelled: bool,
) -> tuple[list[str], str | None]:
    """Find the columns of the inputs and the column of the labels.

    Args:
        file: Opened.
        path: It, for messages.
        names: The name of the model's input, and the keys that are asked for.
        row: Shape of a row of the model's input.
        role: Which suffix to prefer.
        labelled: Whether labels are wanted.

    Raises:
        DataError: data-key.
    """
    input_name, x_key, y_key = names
    headers: Headers = {field.name: _header(field.type) for field in file.schema}
    label = label_key(headers, path.name, role, y_key) if labelled else None
    rest = {key: header for key, header in headers.items() if key != label}
    if x_key is not None or any(len(shape) > 1 for shape, _ in rest.values()):
        wide = {key: header for key, header in rest.items() if x_key is not None or len(header[0]) > 1}
        if x_key is None and len(wide) == 1:
            return list(wide), label
        return [input_key(wide, path.name, input_name, row, role, x_key)], label
    numbers = [key for key, (_, dtype) in rest.items() if dtype.kind in "fiu"]
    if not numbers or len(numbers) < len(rest):
        odd = ", ".join(key for key in rest if key not in numbers) or "none"
        why = f"columns that do not hold numbers: {odd}"
        raise DataError(
            "data-key",
            f"It is not clear which column of {path.name} holds the inputs.",
            [Problem(path.name, why, "name the column: `x_key`")],
        )
    return numbers, label


def _header(kind: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Describe a column for the choice of keys; lists and images are arrays of unknown length."""
    text = str(kind)
    if "list" in text or "struct" in text or "binary" in text:
        return (0, 2, 2), np.dtype(np.float32)
    arrow = extra("pyarrow", "parquet", "Parquet and Arrow files")
    try:
        return (0,), arrow.array([], kind).to_numpy(zero_copy_only=False).dtype
    except (NotImplementedError, TypeError):
        return (0,), np.dtype(object)
