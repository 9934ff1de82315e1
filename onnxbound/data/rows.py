"""A labelled data set as rows, streamed in batches."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.preprocessing import Convert, Preprocessing
from onnxbound.data.side_by_side import AnyArray
from onnxbound.errors import DataError, Problem, UsageError, visible
from onnxbound.rng import select_rows

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows.

    Attributes:
        index: Their places in the data file, 0-based, ascending, (b,).
        inputs: What the model takes, (b, *input_shape), contiguous.
        labels: (b,).
    """

    index: NDArray[np.int64]
    inputs: NDArray[Any]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Chosen rows of a data set, in the order of the file.

    Attributes:
        path: The data file, or "arrays in memory".
        total: Rows in the file.
        index: The chosen ones, 0-based, ascending, (m,).
        labels: Their labels, (m,).
        array: Their inputs, as in the file.
        convert: Turns inputs of the file into inputs of the model.
        preprocessing: The preprocessing that was asked for.
        labels_start: The label of the first class, if given.
    """

    path: str
    total: int
    index: NDArray[np.int64]
    labels: NDArray[np.int64]
    array: AnyArray
    convert: Convert
    preprocessing: Preprocessing
    labels_start: int | None = None

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.array.shape[1:]))
        return f"<Rows of {visible(self.path)}: {self.count:,} of {self.total:,} rows, {shape} {self.array.dtype}>"

    @property
    def count(self) -> int:
        """The number of rows m."""
        return len(self.index)

    @property
    def at_a_time(self) -> int:
        """Rows that are read together by default: about 1 MiB of the file."""
        return max(1, _READ_BYTES // max(1, self.array.dtype.itemsize * prod(self.array.shape[1:])))

    def sample(self, count: int, seed: int) -> Self:
        """Draw a uniform sample of the rows. With one seed, a smaller sample is part of every larger one."""
        chosen = select_rows(seed, self.count, count, stream=1)
        return replace(self, index=self.index[chosen], labels=self.labels[chosen])

    def batches(self, batch_rows: int, index: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        """Stream the rows, or some of them.

        Args:
            batch_rows: Rows per batch; the last may be shorter.
            index: Places in the file of the rows to stream, ascending; all chosen rows if None.

        Raises:
            DataError: data-not-finite, or data-invalid if the file ends too early.
        """
        wanted = self.index if index is None else index
        for start in range(0, len(wanted), batch_rows):
            yield self.batch(wanted[start : start + batch_rows])

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """Read the rows at some places in the file, ascending.

        Raises:
            DataError: data-not-finite, or data-invalid if the file ends too early.
        """
        inputs = self.convert(self.array.take(index))
        self._require_finite(index, inputs)
        return Batch(index, inputs, self.labels[np.searchsorted(self.index, index)])

    def fingerprint(self) -> str:
        """SHA-256 over element type, shape and bytes of the chosen rows, before preprocessing, and of their labels."""
        digest = hashlib.sha256(f"{self.array.dtype.str} {(self.count, *self.array.shape[1:])}".encode())
        for start in range(0, self.count, self.at_a_time):
            digest.update(self.array.take(self.index[start : start + self.at_a_time]).tobytes())
        digest.update(f"<i8 {(self.count,)}".encode() + self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def _require_finite(self, index: NDArray[np.int64], inputs: NDArray[Any]) -> None:
        if inputs.dtype.kind != "f" or np.isfinite(inputs).all():
            return
        broken = index[~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)]
        raise DataError(
            "data-not-finite",
            f"Row {broken[0]} of {self.array.name} contains NaN or infinity after preprocessing.",
            [
                Problem(
                    f"row {broken[0]}",
                    f"so do {len(broken) - 1:,} other rows of {len(index):,}",
                    "clean or remove them",
                )
            ],
        )


def require_unseen(rows: Rows | None, test: Rows) -> None:
    """Refuse test rows that are the training rows: they say nothing about new rows.

    Raises:
        UsageError: They are.
    """
    if rows is not None and np.array_equal(test.labels, rows.labels) and test.fingerprint() == rows.fingerprint():
        problem = Problem(
            test.array.name, "rows that the net was trained on say nothing about new rows", "give other rows"
        )
        raise UsageError("usage", "The test rows are the training rows.", [problem])
