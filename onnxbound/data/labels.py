"""Labels: one class per row, counted from 0, however the file writes them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_in_memory import AnyArray
from onnxbound.errors import DataError, Problem, argument

_CHUNK_ROWS = 4096
_Refuse = Callable[..., DataError]


def read_labels(array: AnyArray, rows: int, classes: int, start: int = 0) -> NDArray[np.int64]:
    """All labels of a file.

    Args:
        array: `(n,)` or `(n, 1)`, integers or booleans; or one-hot, `(n, K)` or narrower, of any type.
        rows: n, the number of input rows.
        classes: K.
        start: The label of the first class.

    Returns:
        (n,), int64, 0 to K - 1.

    Raises:
        DataError: data-labels.
    """
    shape = array.shape

    def refuse(why: str, do: str, **suggestion: object) -> DataError:
        message = f"The labels in {array.name} are not one class between 0 and {classes - 1} per row."
        return DataError("data-labels", message, [Problem(array.name, why, do)], suggestion)

    if len(shape) not in (1, 2):
        raise refuse(f"they have the shape {shape}", f"save them with the shape ({rows},)")
    if shape[0] != rows:
        why = f"there are {shape[0]} labels for {rows} rows"
        raise refuse(why, "give the labels of these rows (`y_key`, `labels`)")
    if len(shape) == 2 and shape[1] > 1:
        return _from_one_hot(array, rows, classes, refuse)
    if array.dtype.kind not in "iub":
        raise refuse(f"their element type is {array.dtype}", "save them as int64")
    labels = array.take(np.arange(rows)).reshape(-1).astype(np.int64) - start
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        row = wrong[0]
        why = f"row {row} has the label {labels[row] + start}, and {len(wrong)} rows in all are out of range"
        first, last = int(labels.min()) + start, int(labels.max()) + start
        if first != start and last - first < classes:
            do = f"if the labels start at {first}: {argument('labels_start', first)}"
            raise refuse(why, do, labels_start=first)
        raise refuse(why, f"the labels run from {first} to {last}: check that the data are of this model")
    return labels


def _from_one_hot(array: AnyArray, rows: int, classes: int, refuse: _Refuse) -> NDArray[np.int64]:
    """The place of the single 1 of each row."""
    if array.shape[1] > classes:
        raise refuse(f"they have {array.shape[1]} columns", "check that the data are of this model")
    if array.dtype.kind not in "fiub":
        raise refuse(f"their element type is {array.dtype}", "save y.argmax(axis=1) instead")
    result = np.empty(rows, np.int64)
    for begin in range(0, rows, _CHUNK_ROWS):
        index = np.arange(begin, min(begin + _CHUNK_ROWS, rows))
        part = array.take(index)
        broken = np.flatnonzero(~((part == 0) | (part == 1)).all(axis=1) | (np.sum(part == 1, axis=1) != 1))
        if len(broken):
            why = f"row {index[broken[0]]} is not one-hot: it has several labels, none, or shares of classes"
            raise refuse(why, "save the one class of each row, y.argmax(axis=1) where that is meant")
        result[index] = part.argmax(axis=1)
    return result
