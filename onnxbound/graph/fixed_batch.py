"""Rows for a model whose file fixes how many go in at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def filled(rows: NDArray[Any], length: int) -> NDArray[Any]:
    """Rows (n, ...) filled up to (length, ...) with copies of the last row; unchanged where n is at least `length`.

    >>> filled(np.array([[1], [2]]), 4).ravel().tolist()
    [1, 2, 2, 2]
    """
    return np.concatenate([rows, np.repeat(rows[-1:], length - len(rows), axis=0)]) if len(rows) < length else rows
