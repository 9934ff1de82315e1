"""Labels: one integer per row, 0 to K - 1."""

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import ArrayFile
from onnxbound.errors import DataError, Problem


def read_labels(array: ArrayFile, rows: int, classes: int) -> NDArray[np.int64]:
    """All labels of a file.

    Args:
        array: `(n,)` or `(n, 1)`, integers.
        rows: n, the number of input rows.
        classes: K.

    Returns:
        (n,), int64.

    Raises:
        DataError: data-labels.
    """
    shape = array.shape

    def refuse(why: str, do: str) -> DataError:
        message = f"The labels in {array.name} are not one integer between 0 and {classes - 1} per row."
        return DataError("data-labels", message, [Problem(array.name, why, do)])

    if len(shape) == 2 and shape[1] > 1:
        raise refuse(f"they have the shape {shape}: one-hot or several labels per row", "save y.argmax(axis=1) instead")
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise refuse(f"they have the shape {shape}", f"save them with the shape ({rows},)")
    if array.dtype.kind not in "iu":
        raise refuse(f"their element type is {array.dtype}", "save them as int64")
    if shape[0] != rows:
        raise refuse(
            f"there are {shape[0]} labels for {rows} rows", "give the labels of these rows (--y-key, --labels)"
        )
    labels = array.take(np.arange(rows)).reshape(-1)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        why = f"row {wrong[0]} has the label {labels[wrong[0]]}, and {len(wrong)} rows in all are out of range"
        from_one = labels.min() == 1 and labels.max() == classes
        raise refuse(why, "the labels start at 1: save y - 1" if from_one else "check that the data are of this model")
    return labels.astype(np.int64)
