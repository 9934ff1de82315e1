"""Rounding with second-order compensation, layer by layer (GPTQ, Frantar et al. 2022; Hassibi, Stork 1993).

A unit w of a layer with inputs z is rounded to q so that (q - w)^T H (q - w) is small, H = E[z z^T]: one entry after
the other takes its nearest level, and those after it make up for the error.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dtrtri, spotrf, strtri

from onnxbound.compressors.grid import Grid, Scales, spread
from onnxbound.graph.small_integers import largest_level
from onnxbound.results import Float64Array

Matrix = Float64Array | NDArray[np.float32]
"""Single precision halves time and memory; what is found is judged by what it truly costs."""

_CLIPS = (1.0, 0.92, 0.84, 0.76, 0.68, 0.6)
"""Shares of the largest entry that the last level may stand for: what lies beyond is cut off, and all steps shrink."""

_BLOCK = 64


def rounded(matrix: Float64Array, moment: Float64Array, scales: Scales, width: int, block: int = 0) -> Grid:
    """The best of several scales per unit, each with compensation.

    Args:
        matrix: (h, n).
        moment: H, positive definite, (n, n).
        scales: Those at which the largest entries are the last levels, (h, blocks).
        width: Bits of a level.
        block: Entries that share a scale; 0 for all of a unit.
    """
    order = np.argsort(-np.diag(moment), kind="stable")
    upper = compensation(moment[np.ix_(order, order)])
    tried: Scales = np.concatenate([(clip * scales).astype(scales.dtype) for clip in _CLIPS])
    wanted = np.tile(matrix, (len(_CLIPS), 1))
    steps = np.broadcast_to(np.asarray(spread(tried, matrix.shape[1], block), np.float64), wanted.shape)
    levels = np.empty(wanted.shape)
    levels[:, order] = _in_order(wanted[:, order], upper, steps[:, order], largest_level(width))
    error: Float64Array = levels * steps - wanted
    cost = np.vecdot(error @ moment, error).reshape(len(_CLIPS), len(matrix))
    best = cost.argmin(axis=0) * len(matrix) + np.arange(len(matrix))
    return Grid(levels[best].astype(np.int64), tried[best], width, block)


def compensation(curvature: Matrix) -> Matrix:
    """The upper triangular U with F^-1 = U^T U, for a positive definite F (P, P), in F's precision.

    Raises:
        ValueError: F is not positive definite.
    """
    # With the order of the entries reversed, F = V V^T for an upper triangular V, and U = V^-1.
    factor, invert = (spotrf, strtri) if curvature.dtype == np.float32 else (dpotrf, dtrtri)
    lower, failed = factor(np.asfortranarray(curvature[::-1, ::-1]), lower=1, clean=1, overwrite_a=1)
    if failed:
        raise ValueError("the curvature is not positive definite")
    inverse, _ = invert(lower, lower=1, overwrite_c=1)
    return np.ascontiguousarray(inverse[::-1, ::-1])


def _in_order(matrix: Float64Array, upper: Matrix, steps: Float64Array, limit: int) -> Float64Array:
    """Levels of all units at once, some entries at a time."""
    moving, levels = matrix.copy(), np.empty_like(matrix)
    for start in range(0, matrix.shape[1], _BLOCK):
        end = min(start + _BLOCK, matrix.shape[1])
        errors = np.empty((len(matrix), end - start))
        for i in range(start, end):
            levels[:, i] = np.clip(np.rint(moving[:, i] / steps[:, i]), -limit, limit)
            errors[:, i - start] = (moving[:, i] - steps[:, i] * levels[:, i]) / upper[i, i]
            moving[:, i + 1 : end] -= errors[:, i - start, None] * upper[i, i + 1 : end]
        moving[:, end:] -= errors @ upper[start:end, end:]
    return levels
