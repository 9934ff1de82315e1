"""Squared Euclidean norms per row, accumulated in float64."""

from math import prod

import numpy as np

from onnxbound.operators.calculus import Symbol, Tensor
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

_BLOCK = 256
"""Squares are added in the tensor's own type within blocks of this length, and between blocks in float64."""


def squared_norms(t: Tensor, leading: int) -> Tensor:
    """|t|^2 over all but the first `leading` axes, float64, of shape `t.shape[:leading]`.

    Within a block of 256 entries float32 squares are added in float32, whose relative error there is below 1e-6 and
    averages out over blocks; the blocks are added in float64. In a graph a channel is a block.
    """
    if isinstance(t, Symbol):
        return _written(t, leading)
    flat = _contiguous_rows(t, leading)
    rows, size = flat.shape
    count, whole = size // _BLOCK, size - size % _BLOCK
    blocks = flat[:, :whole].reshape(rows, count, _BLOCK)
    total: Float64Array = np.vecdot(blocks, blocks).sum(axis=1, dtype=np.float64)
    rest = flat[:, whole:]
    total += np.vecdot(rest, rest).astype(np.float64)
    return total.reshape(t.shape[:leading])


def pixel_squared_norms(c: Tensor, channel_axis: int) -> Tensor:
    """Sum of squares of cotangents `(s, n, *shape)` over streams and channels, float64, shape (n, positions).

    Args:
        c: Cotangents at a layer's output.
        channel_axis: Axis of the channels in `(b, *shape)`, 1 or -1.
    """
    axis = 2 if channel_axis == 1 else c.ndim - 1
    if isinstance(c, Symbol):
        parts = c.reduce("ReduceSumSquare", (0, axis))
        return parts.reshape(-1, prod(parts.shape[1:])).astype(np.float64)
    last = np.moveaxis(c, axis, -1)
    per_pixel = np.vecdot(last, last).astype(np.float64).sum(axis=0)
    return np.asarray(per_pixel.reshape(len(per_pixel), -1))


def _written(t: Symbol, leading: int) -> Symbol:
    """Only sums of channels become float64: of the whole tensor that would be a copy of twice its size."""
    axes = tuple(range(leading, t.ndim))
    if len(axes) <= 1:
        wide = t.astype(np.float64)
        return wide.reduce("ReduceSumSquare", axes) if axes else wide * wide
    return t.reduce("ReduceSumSquare", axes[1:]).astype(np.float64).sum(axis=leading)


def _contiguous_rows(t: Array, leading: int) -> Array:
    """t as (rows, entries), a view whenever the entries of a row are contiguous in some axis order."""
    order = sorted(range(leading, t.ndim), key=lambda axis: -abs(t.strides[axis]))
    ordered = t.transpose(*range(leading), *order)
    return ordered.reshape(prod(t.shape[:leading]), prod(t.shape[leading:]))
