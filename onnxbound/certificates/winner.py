"""The class that a row is given: that of its largest logit, where it is clearly the largest."""

import numpy as np
from numpy.typing import NDArray

from onnxbound.results import Float64Array

SLACK = 2.0**-14
"""Share of a row's largest |logit| by which its winner has to lead: runtimes differ by far less."""

UNCLEAR = -1
"""Stands for a row without a winner: a tie, a lead within the slack, a number that is not finite."""


def decided(logits: Float64Array) -> NDArray[np.int64]:
    """The class of each row's largest logit, or `UNCLEAR`.

    The rule is one of the row alone: new rows are judged by it too.

    >>> decided(np.array([[1.0, 3.0], [2.0, 2.0], [np.nan, 1.0]])).tolist()
    [1, -1, -1]
    """
    finite = np.asarray(np.isfinite(logits).all(axis=1))
    safe = np.where(finite[:, None], logits, 0)
    ordered = np.sort(safe, axis=1)
    clear: NDArray[np.bool_] = finite & (ordered[:, -1] - ordered[:, -2] > SLACK * np.abs(safe).max(axis=1))
    return np.where(clear, safe.argmax(axis=1), UNCLEAR)
