"""Labels as one class per row, counted from 0, in whatever way the file writes them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.side_by_side import AnyArray
from onnxbound.errors import DataError, Problem, argument

_CHUNK_ROWS = 4096
_LISTED = 10
_Refuse = Callable[..., DataError]


def read_labels(
    array: AnyArray, rows: int, class_labels: Sequence[int | str], start: int | None = None
) -> NDArray[np.int64]:
    """Read all labels of a file.

    Args:
        array: `(n,)` or `(n, 1)`, integers, booleans or text; or one-hot, `(n, K)` or narrower, of any type.
        rows: n, the number of input rows.
        class_labels: How the model calls its classes, (K,).
        start: The label of the first class, if labels are numbers of classes; None if they are the model's names.

    Returns:
        (n,), int64, 0 to K - 1.

    Raises:
        DataError: data-labels.
    """
    shape, classes = array.shape, len(class_labels)
    first = start or 0
    counted = start is not None or list(class_labels) == list(range(classes))

    def refuse(why: str, do: str, **suggestion: object) -> DataError:
        one = f"one class between {first} and {first + classes - 1}" if counted else "one of the model's classes"
        message = f"The labels in {array.name} are not {one} per row."
        return DataError("data-labels", message, [Problem(array.name, why, do)], suggestion)

    if len(shape) not in (1, 2):
        raise refuse(f"they have the shape {shape}", f"save them with the shape ({rows},)")
    if shape[0] != rows:
        why = f"there are {shape[0]:,} labels for {rows:,} rows"
        raise refuse(why, "give the labels of these rows: `y_key`, `labels`")
    if len(shape) == 2 and shape[1] > 1:
        return _from_one_hot(array, rows, classes, refuse)
    if array.dtype.kind not in ("iubUS" if start is None else "iub"):
        raise refuse(f"their element type is {array.dtype}", "labels are classes: whole numbers, as int64")
    values, inverse = np.unique(array.take(np.arange(rows)).reshape(-1), return_inverse=True)
    places = _named(values, class_labels) if start is None else _counted(values, classes, start)
    labels = places[inverse]
    wrong = np.flatnonzero(labels < 0)
    if len(wrong):
        why = f"row {wrong[0]} has the label {values[inverse[wrong[0]]]}, and {len(wrong)} rows in all are out of range"
        if not counted:
            raise refuse(why, _naming(class_labels))
        do, suggestion = _counting(values, classes, first)
        raise refuse(why, do, **suggestion)
    return labels


def _counted(values: NDArray[Any], classes: int, start: int = 0) -> NDArray[np.int64]:
    """Find the place of each label among the classes, -1 if there is none."""
    places = [int(value) - start for value in values]  # 64 unsigned bits do not wrap around
    return np.array([place if 0 <= place < classes else -1 for place in places], np.int64)


def _named(values: NDArray[Any], class_labels: Sequence[int | str]) -> NDArray[np.int64]:
    """Find the place by the names of the classes.

    With two classes, -1 and 1 are the first and the second. Numbers count the classes if no class has a number as name.
    """
    if values.dtype.kind in "US":
        text = np.char.decode(values, errors="replace") if values.dtype.kind == "S" else values
    else:
        text = values.astype(np.int64).astype(str)
    places = {str(label): place for place, label in enumerate(class_labels)}
    by_name = np.array([places.get(label, -1) for label in text.tolist()])
    numbered = any(name.removeprefix("-").isdecimal() for name in places)
    if values.dtype.kind in "US" or by_name.min() >= 0 or (numbered and list(class_labels) != [0, 1]):
        return by_name
    if len(class_labels) == 2 and values.min() == -1 and set(text) <= {"-1", "1"}:
        return np.asarray(values > 0, np.int64)
    return by_name if numbered else _counted(values, len(class_labels))


def _counting(values: NDArray[Any], classes: int, start: int) -> tuple[str, dict[str, object]]:
    """Say what to do about labels that are out of range, in words and as parameters."""
    if values.dtype.kind not in "iub":
        return "the model does not name its classes: save their numbers", {}
    first, last = int(values[0]), int(values[-1])
    if first != start and last - first < classes:
        return f"if the labels start at {first}: {argument('labels_start', first)}", {"labels_start": first}
    return f"the labels run from {first} to {last}: check that the data belong to this model", {}


def _naming(class_labels: Sequence[int | str]) -> str:
    listed = ", ".join(map(str, class_labels[:_LISTED])) + (", ..." if len(class_labels) > _LISTED else "")
    return f"the model calls its classes {listed}; if the labels count them from N: `labels_start=N`"


def _from_one_hot(array: AnyArray, rows: int, classes: int, refuse: _Refuse) -> NDArray[np.int64]:
    """Find the single 1 of each row."""
    if array.shape[1] > classes:
        raise refuse(f"they have {array.shape[1]} columns", "check that the data belong to this model")
    if array.dtype.kind not in "fiub":
        raise refuse(f"their element type is {array.dtype}", "save y.argmax(axis=1) instead")
    result = np.empty(rows, np.int64)
    for begin in range(0, rows, _CHUNK_ROWS):
        index = np.arange(begin, min(begin + _CHUNK_ROWS, rows))
        part = array.take(index)
        broken = np.flatnonzero(~((part == 0) | (part == 1)).all(axis=1) | (np.sum(part == 1, axis=1) != 1))
        if len(broken):
            why = f"row {index[broken[0]]} is not one-hot: it has several labels, none, or probabilities"
            raise refuse(why, "save the one class of each row, y.argmax(axis=1) where that is meant")
        result[index] = part.argmax(axis=1)
    return result
