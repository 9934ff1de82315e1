"""Margin of a row."""

import numpy as np
from numpy.typing import NDArray

from onnxbound.results import Float64Array


def margins(logits: Float64Array, labels: NDArray[np.int64]) -> Float64Array:
    """margin(x, y) = f(x)[y] - max over k != y of f(x)[k]; an error is: not margin > 0.

    Args:
        logits: f(x), (n, K) with K >= 2.
        labels: y, (n,).

    Returns:
        (n,); NaN where a logit is NaN, which counts as an error.

    >>> margins(np.array([[3.0, 1.0, 2.0]]), np.array([0]))
    array([1.])
    """
    rows = np.arange(len(labels))
    others = np.array(logits, np.float64)
    others[rows, labels] = -np.inf
    return np.asarray(logits[rows, labels] - others.max(axis=1))
