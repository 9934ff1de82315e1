"""AveragePool."""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from onnxbound.operators.calculus import Symbol
from onnxbound.operators.conv import Conv
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Array, Operator, Shape, Tensor
from onnxbound.operators.windows import Windows, empty_channels_last, parse_windows


@dataclass(frozen=True)
class AveragePool(Affine):
    """The mean of each window.

    Attributes:
        windows: Geometry.
        count_pads: Whether padding counts in the divisor (ONNX `count_include_pad`).
    """

    windows: Windows
    count_pads: bool

    @cached_property
    def _divisor(self) -> Array:
        """Number of entries each window is divided by, shape `(1, 1, *output)`.

        What `ceil_mode` adds behind the padding is never counted.
        """
        w = self.windows
        counted = np.zeros((1, 1, *w.padded))
        covered = w.interior()
        if self.count_pads:
            covered = (..., *(slice(0, b + n + e) for b, n, e in zip(w.begin, w.size, w.end, strict=True)))
        counted[covered] = 1
        return np.asarray(sum(w.taps(counted)))

    @cached_property
    def _float32_divisor(self) -> Array:
        return self._divisor.astype(np.float32)

    def _divisor_of(self, total: Tensor) -> Array:
        return self._float32_divisor if total.dtype == np.float32 else self._divisor

    def output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0], *self.windows.output)

    def act(self, *x: Tensor) -> Tensor:
        """In a graph one node without constants, where there is one."""
        w = self.windows
        if not isinstance(x[0], Symbol) or w.ceil or max(w.dilations) > 1:
            return self.linear(*x)
        return x[0].apply(
            "AveragePool",
            shape=(*x[0].shape[:2], *w.output),
            kernel_shape=w.kernel,
            strides=w.strides,
            pads=(*w.begin, *w.end),
            count_include_pad=int(self.count_pads),
        )

    def linear(self, *x: Tensor) -> Tensor:
        """Sum over taps, divided."""
        total = self._sum(x[0].shape[1]).linear(*x) if isinstance(x[0], Symbol) else self._added(x[0])
        total /= self._divisor_of(total)
        return total

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The divided cotangent, added at every tap."""
        shared = c / self._divisor_of(c)
        if isinstance(c, Symbol):
            return self._sum(shapes[0][0]).transpose(shared, *shapes)
        padded = empty_channels_last((len(c), shapes[0][0], *self.windows.padded), c.dtype)
        padded[...] = 0
        for tap in self.windows.taps(padded):
            tap += shared
        return (padded[self.windows.interior()],)

    def _added(self, x: Array) -> Array:
        """The sum of each window, tap by tap, the fastest way in NumPy."""
        taps = self.windows.taps(self.windows.pad(x))
        total: Array = next(taps).copy(order="K")
        for tap in taps:
            total += tap
        return total

    def _sum(self, channels: int) -> Conv:
        """The sum of each window in a graph, as a convolution of every channel by itself."""
        return Conv(np.ones((channels, 1, *self.windows.kernel), np.float32), None, None, self.windows, channels)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """sqrt(largest column sum): rows of the averaging matrix sum to at most 1, so this bounds its norm."""
        ones = np.ones((1, 1, *self.windows.output))
        columns = self.transpose(ones, (1, *self.windows.size))[0]
        return (sqrt(float(columns.max())),)


def parse(node: Node) -> Operator:
    """AveragePool."""
    kernel = tuple(node.attributes.get("kernel_shape") or ())
    windows = parse_windows(node, kernel, ceil=bool(node.attributes.get("ceil_mode", 0)))
    return AveragePool(windows, bool(node.attributes.get("count_include_pad", 0)))


PARSERS = {"AveragePool": parse}
