"""AveragePool."""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from onnxbound.operators.conv import Conv
from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Affine, Array, Operator, Shape
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

    def output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0], *self.windows.output)

    def linear(self, *x: Array) -> Array:
        """Sum over taps, divided."""
        taps = self.windows.taps(self.windows.pad(x[0]))
        total = next(taps).copy(order="K")
        for tap in taps:
            total += tap
        total /= self._divisor.astype(total.dtype)
        return total

    def transpose(self, c: Array, *shapes: Shape) -> tuple[Array, ...]:
        """The divided cotangent, added at every tap."""
        shared = c / self._divisor.astype(c.dtype)
        padded = empty_channels_last((len(c), shapes[0][0], *self.windows.padded), c.dtype)
        padded[...] = 0
        for tap in self.windows.taps(padded):
            tap += shared
        return (padded[self.windows.interior()],)

    def _sum(self, channels: int) -> Conv:
        """The sum of each window, as a convolution of every channel by itself."""
        return Conv(np.ones((channels, 1, *self.windows.kernel), np.float32), None, None, self.windows, channels)

    def _emit_divided(self, e: Emitter, x: Value) -> Value:
        return Value(e.node("Div", x.name, e.constant(self._float32_divisor)), x.shape)

    def emit_act(self, e: Emitter, *x: Value) -> Value:
        """One node without constants, where there is one."""
        w = self.windows
        if w.ceil or max(w.dilations) > 1:
            return self.emit_linear(e, *x)
        geometry = {"kernel_shape": w.kernel, "strides": w.strides, "pads": (*w.begin, *w.end)}
        name = e.node("AveragePool", x[0].name, count_include_pad=int(self.count_pads), **geometry)
        return Value(name, self.output_shape(x[0].shape))

    def emit_linear(self, e: Emitter, *x: Value) -> Value:
        return self._emit_divided(e, self._sum(x[0].shape[0]).emit_linear(e, *x))

    def emit_transpose(self, e: Emitter, c: Value, *shapes: Shape) -> tuple[Value, ...]:
        """The divided cotangent, sent to every tap."""
        return self._sum(shapes[0][0]).emit_transpose(e, self._emit_divided(e, c), *shapes)

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
