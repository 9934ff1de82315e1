"""Sliding windows: padding, output sizes and the strided view of each kernel tap, shared by Conv and pooling."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from onnxbound.operators import calculus
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Shape, Tensor, Unsupported

_LARGEST_KERNEL, _LARGEST_PADDED = 1 << 20, 1 << 26
"""Taps and positions beyond which no net is; what a hostile file asks for is."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The geometry of a kernel that slides over 1 to 3 axes of length `size`.

    Attributes:
        size: Input length per axis.
        kernel: Kernel length per axis.
        strides: Step per axis.
        dilations: Distance between taps per axis.
        begin: Padding before each axis.
        end: Padding after each axis.
        ceil: Whether a last, incomplete window counts (ONNX `ceil_mode`).
    """

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    ceil: bool = False

    @property
    def span(self) -> tuple[int, ...]:
        """Length a dilated kernel covers, per axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def output(self) -> tuple[int, ...]:
        """Output length per axis; with `ceil`, no window starts behind the input and its leading padding."""
        lengths = []
        for n, span, s, b, e in zip(self.size, self.span, self.strides, self.begin, self.end, strict=True):
            room = n + b + e - span
            length = (-(-room // s) if self.ceil else room // s) + 1
            if self.ceil and (length - 1) * s >= n + b:
                length -= 1
            lengths.append(length)
        return tuple(lengths)

    @property
    def padded(self) -> tuple[int, ...]:
        """Length per axis that all windows together cover, at least the padded input."""
        reach = zip(self.output, self.strides, self.span, self.size, self.begin, self.end, strict=True)
        return tuple(max((o - 1) * s + span, n + b + e) for o, s, span, n, b, e in reach)

    @property
    def overlap(self) -> int:
        """The most windows that an entry can be in, whatever the padding.

        prod min(ceil(k g / s), number of windows) over the axes, g the greatest common divisor of dilation and stride.
        """
        axes = zip(self.kernel, self.strides, self.dilations, self.output, strict=True)
        return prod(min(-(-k * gcd(d, s) // s), n) for k, s, d, n in axes)

    @property
    def is_identity(self) -> bool:
        """Whether each window is exactly one input position."""
        return prod(self.kernel) == prod(self.strides) == 1 and not any(self.begin) and not any(self.end)

    @property
    def is_tiling(self) -> bool:
        """Whether every position of the padded input lies in exactly one window."""
        axes = zip(self.output, self.kernel, self.strides, self.dilations, self.padded, strict=True)
        return all(k == s and d == 1 and o * s == length for o, k, s, d, length in axes)

    def interior(self) -> tuple[Any, ...]:
        """Index of the input in a padded array, `(..., *slices)`."""
        return (..., *(slice(b, b + n) for b, n in zip(self.begin, self.size, strict=True)))

    def pad(self, x: Tensor, value: float = 0.0) -> Tensor:
        """x `(b, c, *size)` padded to `(b, c, *padded)`, channels last in memory."""
        if isinstance(x, Symbol):
            behind = (length - b - n for length, b, n in zip(self.padded, self.begin, self.size, strict=True))
            return calculus.pad(x, (0, 0, *self.begin), (0, 0, *behind), value)
        if self.padded == self.size and is_channels_last(x):
            return x
        result = empty_channels_last((*x.shape[:2], *self.padded), x.dtype)
        if self.padded != self.size:
            result[...] = value
        result[self.interior()] = x
        return result

    def taps(self, padded: Tensor) -> Iterator[Tensor]:
        """For each tap in row-major order, the view `(b, c, *output)` of the input positions it meets."""
        for offset in product(*map(range, self.kernel)):
            axes = zip(offset, self.dilations, self.output, self.strides, strict=True)
            place: tuple[Any, ...] = (..., *(slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in axes))
            yield padded[place]

    @property
    def reach(self) -> tuple[int, ...]:
        """Padding behind each axis that the last window needs; none of `end` beyond it matters."""
        axes = zip(self.output, self.strides, self.span, self.size, self.begin, strict=True)
        return tuple(max((o - 1) * s + span - n - b, 0) for o, s, span, n, b in axes)

    def taps_inside(self) -> NDArray[np.int64]:
        """For each tap in row-major order, the number of windows in which it meets the input and not the padding."""
        ones = np.ones((1, 1, *self.size))
        return np.array([int(tap.sum()) for tap in self.taps(self.pad(ones))], np.int64)


def is_channels_last(x: Array) -> bool:
    """Whether x `(b, c, *size)` is contiguous in memory with its channels last."""
    return bool(np.moveaxis(x, 1, -1).flags.c_contiguous)


def empty_channels_last(shape: Shape, dtype: DTypeLike) -> Array:
    """An uninitialised array of logical shape `(b, c, *size)`, channels last in memory."""
    return np.moveaxis(np.empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1)


def parse_windows(node: Node, kernel: tuple[int, ...], *, ceil: bool = False) -> Windows:
    """Read strides, dilations, pads and auto_pad of a Conv or pooling node whose kernel is known."""
    size = node.shape()[1:]
    axes = len(size)
    if axes not in (1, 2, 3) or len(kernel) != axes:
        raise Unsupported(f"a kernel of {len(kernel)} axes is applied to an input with {axes} spatial axes")
    strides = tuple(node.attributes.get("strides") or (1,) * axes)
    dilations = tuple(node.attributes.get("dilations") or (1,) * axes)
    pads = tuple(node.attributes.get("pads") or (0,) * 2 * axes)
    auto_pad = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    if auto_pad == "VALID":
        pads = (0,) * 2 * axes
    elif auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same_pads(size, kernel, strides, dilations, upper=auto_pad == "SAME_UPPER")
    elif auto_pad != "NOTSET":
        raise Unsupported(f"auto_pad={auto_pad!r} is not an ONNX value")
    if min((*strides, *dilations, *kernel)) < 1 or min(pads) < 0:
        raise Unsupported("strides, dilations and kernel lengths have to be positive, pads not negative")
    # With auto_pad the number of windows is fixed by the stride alone, so ceil_mode has nothing to decide.
    windows = Windows(
        size, kernel, strides, dilations, pads[:axes], pads[axes:], ceil and auto_pad in ("NOTSET", "VALID")
    )
    if min(windows.output) < 1:
        raise Unsupported(f"the kernel {kernel} does not fit into the padded input {size}")
    if prod(kernel) > _LARGEST_KERNEL or prod(windows.padded) > _LARGEST_PADDED:
        raise Unsupported(f"the kernel {kernel} or the padded input {windows.padded} is larger than onnxbound allows")
    return windows


def _same_pads(
    size: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...], *, upper: bool
) -> tuple[int, ...]:
    """Pads that give ceil(size / stride) windows; the odd one goes to the end for SAME_UPPER."""
    total = [
        max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        for n, k, s, d in zip(size, kernel, strides, dilations, strict=True)
    ]
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return tuple(small + large) if upper else tuple(large + small)
