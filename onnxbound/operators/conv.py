"""Conv: patches times one matrix product."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from onnxbound.operators import calculus
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Tensor, Unsupported
from onnxbound.operators.weighted import Weighted
from onnxbound.operators.windows import Windows, empty_channels_last, parse_windows
from onnxbound.operators.winograd import Winograd

_PATCH_BYTES = 8 << 20
"""Patches are formed and multiplied in blocks of about this size: larger ones leave the cache, smaller products of
matrices do not reach their full rate."""

_TAP_BYTES = 1 << 20
"""The same where each channel has a kernel of its own and no product of matrices is formed: one output per tap."""

_REPEATED = 1 << 15
"""Entries up to which kernels are repeated along a line of pixels."""

_WINOGRAD_CHANNELS = 16
"""With fewer channels the transforms cost more than the products they save."""


@dataclass(frozen=True, eq=False)
class Conv(Weighted):
    """Convolution over 1 to 3 axes, as ONNX defines it: a cross-correlation.

    Attributes:
        windows: Geometry on the layer's own input.
        groups: Channel groups; the weight is `(c_out, c_in/groups, *kernel)`.
    """

    windows: Windows
    groups: int

    @property
    def channel_axis(self) -> int:
        """1: channels stand behind the batch."""
        return 1

    def positions(self, input_shape: Shape) -> int:
        """Number of output pixels."""
        del input_shape
        return prod(self.windows.output)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if shape[0] != self.weight.shape[1] * self.groups:
            read = self.weight.shape[1] * self.groups
            raise Unsupported(f"the weight reads {read} channels, the input has {shape[0]}")
        return (self.channels, *self.windows.output)

    def map_frobenius_squared(self, input_shape: Shape) -> float:
        """Sum over taps of |A[:, :, tap]|_F^2 times the number of windows in which the tap meets the input."""
        del input_shape
        per_tap = np.zeros(prod(self.windows.kernel))
        for band in self.bands():
            per_tap += (band.reshape(-1, per_tap.size) ** 2).sum(axis=0)
        return float(per_tap @ self.windows.taps_inside())

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """|A|_F and the root of the most windows that an entry is in, a crude bound of the operator's norm."""
        del shapes
        return (float(np.sqrt(self.frobenius_squared() * self.windows.overlap)),)

    @cached_property
    def _matrix(self) -> Array:
        """The weight as `(groups, taps * c_in/groups, c_out/groups)`, the order in which patches are laid out."""
        grouped = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        return np.ascontiguousarray(np.moveaxis(grouped, 2, -1).reshape(*grouped.shape[:2], -1).swapaxes(1, 2))

    @cached_property
    def _adjoint(self) -> "Conv | None":
        """The transpose as a convolution with the mirrored kernel; None where that would have to spread strides."""
        w = self.windows
        begin, end = (tuple(s - 1 - n for s, n in zip(w.span, pads, strict=True)) for pads in (w.begin, w.end))
        if prod(w.strides) > 1 or min((*begin, *end)) < 0:
            return None
        mirrored = np.flip(self.weight, tuple(range(2, self.weight.ndim)))
        grouped = mirrored.reshape(self.groups, -1, *self.weight.shape[1:]).swapaxes(1, 2)
        weight = grouped.reshape(-1, *grouped.shape[2:])
        return Conv(weight, None, None, Windows(w.output, w.kernel, w.strides, w.dilations, begin, end), self.groups)

    @cached_property
    def _winograd(self) -> Winograd | None:
        """A faster way for tangents and cotangents, whose ties do not matter; None where it is none, or not faster."""
        w = self.windows
        fits = w.kernel == (3, 3) and w.strides == w.dilations == (1, 1) and self.groups == 1
        if not fits or min(self.weight.shape[:2]) < _WINOGRAD_CHANNELS:
            return None
        return Winograd.of(self.weight, w.size, w.begin, w.output)

    def linear(self, *x: Tensor) -> Tensor:
        """One node of a graph; NumPy has no convolution, and patches in blocks are the fastest way there."""
        if isinstance(x[0], Symbol):
            return self._node("Conv", x[0], self.windows.output, pads=(*self.windows.begin, *self.windows.reach))
        out = empty_channels_last((len(x[0]), self.channels, *self.windows.output), x[0].dtype)
        self._linear_into(x[0], out)
        return out

    def _node(self, op: str, x: Symbol, lengths: Shape, pads: Shape | None = None) -> Symbol:
        """Append a Conv or a ConvTranspose, whose results have those lengths."""
        w = self.windows
        channels = self.channels if op == "Conv" else self.weight.shape[1] * self.groups
        return x.apply(
            op,
            self.weight,
            shape=(x.shape[0], channels, *lengths),
            kernel_shape=w.kernel,
            strides=w.strides,
            dilations=w.dilations,
            pads=pads,
            group=self.groups,
        )

    def _linear_of_streams(self, x: Tensor) -> Tensor:
        if isinstance(x, Symbol) or self._winograd is None:
            return self.linear(x)
        return self._winograd.apply(x)

    def _linear_into(self, x: Array, out: Array) -> None:
        """Patches of a block of rows, times the weight."""
        rows, w = len(x), self.windows
        products = np.moveaxis(out, 1, -1).reshape(rows, prod(w.output), self.channels)
        if w.is_identity and self.groups == 1:
            pixels = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
            np.matmul(pixels, self._matrix[0], out=products.reshape(-1, self.channels))
            return
        if self._own_kernels is not None:
            self._taps_into(self._own_kernels, x, np.moveaxis(out, 1, -1))
            return
        per_row = prod(w.output) * prod(w.kernel) * x.shape[1] * x.itemsize
        step = max(1, min(rows, _PATCH_BYTES // per_row))
        buffer = np.empty(step * per_row // x.itemsize, x.dtype)
        for start in range(0, rows, step):
            block = slice(start, min(start + step, rows))
            patches = self._patches(w.pad(x[block]))
            count = block.stop - start
            if self.groups == 1:
                matrix = buffer[: count * per_row // x.itemsize].reshape(count * prod(w.output), -1)
                matrix.reshape(patches.shape)[...] = patches
                np.matmul(matrix, self._matrix[0], out=products[block].reshape(-1, self.channels))
            else:
                grouped = np.moveaxis(patches, -2, 0).reshape(self.groups, count * prod(w.output), -1)
                by_group = np.matmul(grouped, self._matrix)
                products[block] = np.moveaxis(by_group, 0, 1).reshape(count, prod(w.output), self.channels)

    @cached_property
    def _own_kernels(self) -> Array | None:
        """The weight of a depthwise convolution, `(taps, 1 or last axis of the output, channels)`; None of others."""
        if not self.groups == self.weight.shape[0] > 1 == self.weight.shape[1]:
            return None
        taps, beside = self.weight.reshape(self.channels, 1, -1).T, self.windows.output[-1]
        # Repeated to the length of what lies side by side in memory, NumPy's innermost loop is as long.
        return np.repeat(taps, beside, axis=1) if beside * self.channels <= _REPEATED else np.ascontiguousarray(taps)

    def _taps_into(self, kernels: Array, x: Array, out: Array) -> None:
        """Write tap after tap times the input that it meets; `out` is `(b, *output, channels)`."""
        w, rows = self.windows, len(x)
        step = max(1, min(rows, _TAP_BYTES // (prod(out.shape[1:]) * x.itemsize)))
        product = np.empty_like(out[:step])
        for start in range(0, rows, step):
            block = slice(start, min(start + step, rows))
            target, term = out[block], product[: min(step, rows - start)]
            for number, met in enumerate(w.taps(w.pad(x[block]))):
                np.multiply(np.moveaxis(met, 1, -1), kernels[number], out=term if number else target)
                if number:
                    target += term

    def _patches(self, padded: Array) -> Array:
        """The view `(b, *output, *kernel, groups, c_in/groups)` of every window (no group axis where there is one)."""
        last = np.moveaxis(padded, 1, -1)
        w, pixel, channel = self.windows, last.strides[1:-1], last.strides[-1]
        steps = tuple(p * s for p, s in zip(pixel, w.strides, strict=True))
        taps = tuple(p * d for p, d in zip(pixel, w.dilations, strict=True))
        channels = last.shape[-1] // self.groups
        group_shape, group_stride = ((self.groups,), (channels * channel,)) if self.groups > 1 else ((), ())
        return as_strided(
            last,
            (len(last), *w.output, *w.kernel, *group_shape, channels),
            (last.strides[0], *steps, *taps, *group_stride, channel),
            writeable=False,
        )

    def as_weight(self, products: Array) -> Array:
        """Channels before taps."""
        leading = products.shape[:-3]
        channels_last = products.reshape(*leading, self.channels, *self.windows.kernel, -1)
        return np.moveaxis(channels_last, -1, len(leading) + 1)

    def patches(self, x: Array) -> Array:
        """Every window, channels last."""
        w, n = self.windows, len(x)
        patches = self._patches(w.pad(x)).reshape(n, prod(w.output), prod(w.kernel), self.groups, -1)
        return np.moveaxis(patches, 3, 1).reshape(n, self.groups, prod(w.output), -1)

    def by_group(self, c: Array) -> Array:
        """Pixels last."""
        return c.reshape(*c.shape[:2], self.groups, -1, prod(self.windows.output))

    def bias_cotangent(self, c: Array) -> Array:
        """Added over pixels."""
        return np.asarray(c.reshape(*c.shape[:2], self.channels, -1).sum(axis=3))

    def weight_gradient(self, x: Symbol, c: Symbol) -> Symbol:
        """A convolution of the input, its rows in place of channels, with the cotangents as kernels."""
        w, groups, behind = self.windows, self.groups, range(3, 3 + len(self.windows.size))
        channels, turn = x.shape[1] // groups, (1, 0, *(axis - 1 for axis in behind))
        grouped = x.reshape(-1, groups, channels, *w.size).transpose(2, 1, 0, *behind)
        images = grouped.reshape(channels, groups * x.shape[0], *w.size)
        found = images.apply(
            "Conv",
            c.transpose(*turn),
            shape=(channels, self.channels, *w.padded),
            strides=w.dilations,
            dilations=w.strides,
            pads=(*w.begin, *w.reach),
            group=groups,
        )
        return found[(..., *map(slice, w.kernel))].transpose(*turn)

    def emitted(self) -> Iterator[tuple[str, Array]]:
        yield from super().emitted()
        if self._adjoint is not None:
            yield "mirrored", self._adjoint.weight

    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """A convolution with the mirrored kernel; with strides, each output's contribution to its window, summed."""
        if self._adjoint is not None:
            return (self._adjoint._linear_of_streams(c),)
        if isinstance(c, Symbol):
            return (self._spread(c),)
        (shape,) = shapes
        w, rows = self.windows, len(c)
        last = np.moveaxis(c, 1, -1).reshape(rows, -1, self.channels)
        padded = np.zeros((rows, *w.padded, shape[0]), c.dtype)
        if self._own_kernels is not None:
            outputs = last.reshape(rows, *w.output, self.channels)
            for view, kernel in zip(w.taps(np.moveaxis(padded, -1, 1)), self._own_kernels, strict=True):
                view += np.moveaxis(outputs * kernel, -1, 1)
            return (np.moveaxis(padded, -1, 1)[w.interior()],)
        step = max(1, min(rows, _PATCH_BYTES // (prod(w.output) * prod(w.kernel) * shape[0] * c.itemsize)))
        for start in range(0, rows, step):
            block = slice(start, min(start + step, rows))
            patches = self._transposed_patches(last[block])
            target = np.moveaxis(padded[block], -1, 1)
            for tap, view in enumerate(w.taps(target)):
                view += np.moveaxis(patches[:, :, tap].reshape(len(patches), *w.output, shape[0]), -1, 1)
        return (np.moveaxis(padded, -1, 1)[w.interior()],)

    def _spread(self, c: Symbol) -> Symbol:
        """A ConvTranspose, cut or padded to the input."""
        w, beside = self.windows, (0,) * (2 + len(self.windows.size))
        lengths = tuple((o - 1) * s + span for o, s, span in zip(w.output, w.strides, w.span, strict=True))
        missing = tuple(max(b + n - length, 0) for b, n, length in zip(w.begin, w.size, lengths, strict=True))
        covered = self._node("ConvTranspose", c, lengths)
        return (calculus.pad(covered, beside, (0, 0, *missing)) if any(missing) else covered)[w.interior()]

    def _transposed_patches(self, last: Array) -> Array:
        """Cotangents `(b, p, c_out)` as `(b, p, taps, c_in)`."""
        b, p, _ = last.shape
        taps = prod(self.windows.kernel)
        if self.groups == 1:
            single: Array = np.matmul(last.reshape(b * p, -1), self._matrix[0].T)
            return single.reshape(b, p, taps, -1)
        grouped = np.moveaxis(last.reshape(b * p, self.groups, -1), 1, 0)
        product: Array = np.matmul(grouped, self._matrix.swapaxes(1, 2)).reshape(self.groups, b, p, taps, -1)
        return np.moveaxis(product, 0, 3).reshape(b, p, taps, -1)


def parse(node: Node) -> Operator:
    """Conv with a constant weight."""
    weight, bias = node.floating(1), node.floating(2)
    if weight is None:
        raise Unsupported("the weight is not a constant")
    if weight.ndim < 3:
        raise Unsupported(f"the weight has {weight.ndim} axes, where at least 3 are needed")
    windows = parse_windows(node, tuple(weight.shape[2:]))
    groups = int(node.attributes.get("group", 1))
    if groups < 1 or weight.shape[0] % groups:
        raise Unsupported(f"{weight.shape[0]} output channels cannot be divided into {groups} groups")
    if bias is not None and bias.size != len(weight):
        raise Unsupported(f"it has {bias.size} biases for {len(weight)} output channels", "export the model again")
    return Conv(weight, None, None if bias is None else bias.ravel().astype(np.float64), windows, groups)


PARSERS = {"Conv": parse}
