"""MaxPool and its global forms."""

from dataclasses import dataclass
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Unsupported, join_streams, split_streams
from onnxbound.operators.windows import Windows, empty_channels_last, parse_windows


@dataclass(frozen=True)
class MaxPool(Operator):
    """The largest entry of each window; of equal ones the first in row-major order.

    Attributes:
        windows: Geometry; padding never wins.
    """

    windows: Windows

    def output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0], *self.windows.output)

    def act(self, *x: Array) -> Array:
        taps = self.windows.taps(self.windows.pad(x[0], -np.inf))
        result = next(taps).copy(order="K")
        for tap in taps:
            np.maximum(result, tap, out=result)
        return result

    def linearise(self, *x: Array) -> Array:
        """Index of the winning tap, int16, shape `(n, c, *output)`."""
        taps = self.windows.taps(self.windows.pad(x[0], -np.inf))
        best = next(taps).copy(order="K")
        winner = np.zeros_like(best, dtype=np.int16)
        for number, tap in enumerate(taps, start=1):
            better = tap > best
            np.copyto(best, tap, where=better)
            np.copyto(winner, number, where=better)
        return winner

    def jvp(self, state: Array | None, *t: Array) -> Array:
        """The tangent at the winning tap."""
        assert state is not None
        padded = self.windows.pad(join_streams(t[0]))
        result = split_streams(empty_channels_last((len(padded), *state.shape[1:]), padded.dtype), t[0].shape)
        result[...] = 0
        term = np.empty_like(result)
        for number, tap in enumerate(self.windows.taps(padded)):
            # A product with a mask is several times faster than a copy under one.
            result += np.multiply(split_streams(tap, t[0].shape), _mask(state, number, result), out=term)
        return result

    def vjp(self, state: Array | None, c: Array, *shapes: Shape) -> tuple[Array, ...]:
        """The cotangent, added at the winning tap."""
        assert state is not None
        s, n = c.shape[:2]
        padded = empty_channels_last((s * n, shapes[0][0], *self.windows.padded), c.dtype)
        tiled = self.windows.is_tiling
        if not tiled:
            padded[...] = 0
            term = np.empty_like(c)
        for number, tap in enumerate(self.windows.taps(padded)):
            view = split_streams(tap, (s, n))
            if tiled:
                np.multiply(c, _mask(state, number, c), out=view)
            else:
                view += np.multiply(c, _mask(state, number, c), out=term)
        return (split_streams(padded[self.windows.interior()], (s, n)),)

    def residual(self, state: Array | None, x: tuple[Array, ...], t: tuple[Array, ...], w: tuple[Array, ...]) -> Array:
        """max over taps of (v - v at the winner) + w, with v = x + t: w at the winner, unless another tap wins."""
        v = x[0] + t[0]
        at_winner = self.jvp(state, v)
        leading = v.shape
        padded_v = self.windows.pad(join_streams(v), -np.inf)
        padded_w = self.windows.pad(join_streams(w[0]))
        result = np.full_like(at_winner, -np.inf)
        ahead = np.empty_like(at_winner)
        for tap_v, tap_w in zip(self.windows.taps(padded_v), self.windows.taps(padded_w), strict=True):
            np.subtract(split_streams(tap_v, leading), at_winner, out=ahead)
            ahead += split_streams(tap_w, leading)
            np.maximum(result, ahead, out=result)
        return result

    def _emit_pool(self, e: Emitter, x: str) -> tuple[str, str]:
        """The maxima, and their places in x, which is counted through as one vector."""
        w = self.windows
        maxima, places = e.outputs(
            2,
            "MaxPool",
            x,
            kernel_shape=w.kernel,
            strides=w.strides,
            dilations=w.dilations,
            pads=(*w.begin, *w.reach),
        )
        return maxima, e.reshape(places, -1)

    def emit_act(self, e: Emitter, *x: Value) -> Value:
        return Value(self._emit_pool(e, x[0].name)[0], (x[0].shape[0], *self.windows.output))

    def emit_linearise(self, e: Emitter, *x: Value) -> str:
        """Places of the winners among the entries of all rows, a vector."""
        return self._emit_pool(e, x[0].name)[1]

    def emit_jvp(self, e: Emitter, state: str, streams: int, *t: Value) -> Value:
        """The tangent at the winner."""
        shape = (t[0].shape[0], *self.windows.output)
        chosen = e.node("Gather", e.reshape(t[0].name, streams, -1), state, axis=1)
        return Value(e.reshape(chosen, streams, -1, *shape), shape)

    def emit_vjp(self, e: Emitter, state: str, streams: int, c: Value, *shapes: Shape) -> tuple[Value, ...]:
        """The cotangent, added at the winner."""
        rows = e.node("Shape", c.name, start=1, end=2)
        length = e.node("Mul", rows, e.integers(prod(shapes[0])))
        zeros = e.node("ConstantOfShape", e.node("Concat", e.integers(streams), length, axis=0))
        sent = e.reshape(c.name, streams, -1)
        places = e.node("Expand", state, e.node("Shape", sent))
        spread = e.node("ScatterElements", zeros, places, sent, axis=1, reduction="add")
        return (Value(e.reshape(spread, streams, -1, *shapes[0]), shapes[0]),)

    def emit_residual(
        self, e: Emitter, state: str, streams: int, x: tuple[Value, ...], t: tuple[Value, ...], w: tuple[Value, ...]
    ) -> Value:
        """v at the new winner less v at the old one, plus w at the new one, with v = x + t."""
        shape = (x[0].shape[0], *self.windows.output)
        v = Value(e.node("Add", x[0].name, t[0].name), x[0].shape)
        _, moved = self._emit_pool(e, e.join(Value(e.node("Add", v.name, w[0].name), v.shape)).name)
        at_old = self.emit_jvp(e, state, streams, v)
        at_new, w_there = (e.node("Gather", e.reshape(name, -1), moved) for name in (v.name, w[0].name))
        overtaken = e.node("Sub", e.reshape(at_new, streams, -1, *shape), at_old.name)
        return Value(e.node("Add", overtaken, e.reshape(w_there, streams, -1, *shape)), shape)

    def emit_ties(self, e: Emitter, *x: Value) -> str:
        """Windows whose maximum occurs more than once."""
        best = self._emit_pool(e, x[0].name)[0]
        taps = self.windows.emit_taps(e, x[0].name, -np.inf)
        equal = [e.node("Cast", e.node("Equal", tap, best), to=TensorProto.FLOAT) for tap in taps]
        return e.node("Greater", e.node("Sum", *equal), e.number(1))

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """The root of the most windows that an entry is in."""
        return (sqrt(self.windows.overlap),)

    def ties(self, *x: Array) -> NDArray[np.bool_]:
        """Rows with a window whose maximum occurs more than once."""
        best = self.act(*x)
        counts = np.zeros_like(best, dtype=np.int16)
        for tap in self.windows.taps(self.windows.pad(x[0], -np.inf)):
            counts += tap == best
        return np.asarray((counts > 1).any(axis=tuple(range(1, counts.ndim))))


def _mask(winner: Array, number: int, like: Array) -> Array:
    """1 where the tap of that number wins, else 0."""
    return np.equal(winner, number).astype(like.dtype)


def parse(node: Node) -> Operator:
    """MaxPool with one output."""
    if node.attributes.get("storage_order", 0):
        raise Unsupported("storage_order=1")
    kernel = tuple(node.attributes.get("kernel_shape") or ())
    return MaxPool(parse_windows(node, kernel, ceil=bool(node.attributes.get("ceil_mode", 0))))


def parse_global(node: Node) -> Operator:
    """GlobalMaxPool: one window per channel."""
    size = node.shape()[1:]
    ones, zeros = (1,) * len(size), (0,) * len(size)
    return MaxPool(Windows(size, size, ones, ones, zeros, zeros))


PARSERS = {"MaxPool": parse, "GlobalMaxPool": parse_global}
