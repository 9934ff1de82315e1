"""Squared Euclidean norms per row, accumulated in float64."""

from math import prod

import numpy as np

from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

_BLOCK = 256
"""Squares are added in the tensor's own type within blocks of this length, and between blocks in float64."""


def squared_norms(t: Array, leading: int) -> Float64Array:
    """|t|^2 over all but the first `leading` axes, float64, of shape `t.shape[:leading]`.

    Within a block of 256 entries float32 squares are added in float32, whose relative error there is below 1e-6 and
    averages out over blocks; the blocks are added in float64.
    """
    flat = _contiguous_rows(t, leading)
    rows, size = flat.shape
    count, whole = size // _BLOCK, size - size % _BLOCK
    blocks = flat[:, :whole].reshape(rows, count, _BLOCK)
    total: Float64Array = np.vecdot(blocks, blocks).sum(axis=1, dtype=np.float64)
    rest = flat[:, whole:]
    total += np.vecdot(rest, rest).astype(np.float64)
    return total.reshape(t.shape[:leading])


def pixel_squared_norms(c: Array, channel_axis: int) -> Float64Array:
    """Sum of squares of cotangents `(s, n, *shape)` over streams and channels, float64, shape (n, positions).

    Args:
        c: Cotangents at a layer's output.
        channel_axis: Axis of the channels in `(b, *shape)`, 1 or -1.
    """
    last = np.moveaxis(c, 2 if channel_axis == 1 else -1, -1)
    per_pixel = np.vecdot(last, last).astype(np.float64).sum(axis=0)
    return np.asarray(per_pixel.reshape(len(per_pixel), -1))


def _contiguous_rows(t: Array, leading: int) -> Array:
    """t as (rows, entries), a view whenever the entries of a row are contiguous in some axis order."""
    order = sorted(range(leading, t.ndim), key=lambda axis: -abs(t.strides[axis]))
    ordered = t.transpose(*range(leading), *order)
    return ordered.reshape(prod(t.shape[:leading]), prod(t.shape[leading:]))
