"""MaxPool and its global forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np

from onnxbound.operators import calculus
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Tensor, Unsupported, join_streams, split_streams
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

    # NumPy is fastest tap by tap, and its state is the number of the winning tap. In a graph one node finds the places
    # of the winners among the entries of all rows, and others choose entries by their places.

    def act(self, *x: Tensor) -> Tensor:
        if isinstance(x[0], Symbol):
            return self._pooled(x[0])[0]
        taps = self.windows.taps(self.windows.pad(x[0], -np.inf))
        result = next(taps).copy(order="K")
        for tap in taps:
            np.maximum(result, tap, out=result)
        return result

    def linearise(self, *x: Tensor) -> Tensor:
        """Index of the winning tap, int16, shape `(n, c, *output)`; in a graph places of the winners, a vector."""
        if isinstance(x[0], Symbol):
            return self._pooled(x[0])[1]
        taps = self.windows.taps(self.windows.pad(x[0], -np.inf))
        best = next(taps).copy(order="K")
        winner = np.zeros_like(best, dtype=np.int16)
        for number, tap in enumerate(taps, start=1):
            better = tap > best
            np.copyto(best, tap, where=better)
            np.copyto(winner, number, where=better)
        return winner

    def jvp(self, state: Tensor, *t: Tensor) -> Tensor:
        """The tangent at the winner."""
        if isinstance(state, Symbol):
            return self._chosen(t[0], state, t[0].shape[0])
        padded = self.windows.pad(join_streams(t[0]))
        result = split_streams(empty_channels_last((len(padded), *state.shape[1:]), padded.dtype), t[0].shape)
        result[...] = 0
        term = np.empty_like(result)
        for number, tap in enumerate(self.windows.taps(padded)):
            # A product with a mask is several times faster than a copy under one.
            result += np.multiply(split_streams(tap, t[0].shape), _mask(state, number, result), out=term)
        return result

    def vjp(self, state: Tensor, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """The cotangent, added at the winner."""
        if isinstance(state, Symbol):
            return (self._sent_back(c, state, shapes[0]),)
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

    def residual(self, state: Tensor, x: tuple[Tensor, ...], t: tuple[Tensor, ...], w: tuple[Tensor, ...]) -> Tensor:
        """max over taps of (v - v at the winner) + w, with v = x + t: w at the winner, unless another tap wins."""
        v = x[0] + t[0]
        at_winner = self.jvp(state, v)
        if isinstance(v, Symbol):
            _, moved = self._pooled(join_streams(v + w[0]))
            return (self._chosen(v, moved, 1) - at_winner) + self._chosen(w[0], moved, 1)
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

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """The root of the most windows that an entry is in."""
        return (sqrt(self.windows.overlap),)

    def ties(self, *x: Tensor) -> Tensor:
        """Rows with a window whose maximum occurs more than once."""
        best = self.act(*x)
        taps = self.windows.taps(self.windows.pad(x[0], -np.inf))
        return (_count(tap == best for tap in taps) > 1).any(axis=tuple(range(1, best.ndim)))

    def _pooled(self, x: Symbol) -> tuple[Symbol, Symbol]:
        """The maxima, and their places in x, which is counted through as one vector."""
        w = self.windows
        geometry = {"kernel_shape": w.kernel, "strides": w.strides, "dilations": w.dilations}
        maxima, places = x.e.outputs(2, "MaxPool", x.name, **geometry, pads=(*w.begin, *w.reach))
        shape = (*x.shape[:2], *w.output)
        return Symbol(x.e, maxima, shape), Symbol(x.e, places, shape, np.dtype(np.int64)).reshape(-1)

    def _chosen(self, t: Symbol, places: Symbol, vectors: int) -> Symbol:
        """What stands at places of tangents that are counted through as so many vectors."""
        flat = t.reshape(vectors, -1)
        chosen = flat.apply("Gather", places, shape=(vectors, *places.shape), axis=1)
        return chosen.reshape(*t.shape[:3], *self.windows.output)

    def _sent_back(self, c: Symbol, places: Symbol, shape: Shape) -> Tensor:
        """Cotangents added up at places of streams of zeros."""
        sent, nothing = c.reshape(c.shape[0], -1), calculus.zeros((*c.shape[:2], *shape), c)
        spread = places.apply("Expand", c.e.node("Shape", sent.name))
        full = nothing.reshape(c.shape[0], -1).apply("ScatterElements", spread, sent, axis=1, reduction="add")
        return full.reshape(*nothing.shape)


def _count(conditions: Iterator[Tensor]) -> Tensor:
    """How many of several conditions hold."""
    first = next(conditions)
    if isinstance(first, Symbol):
        terms = [condition.astype(np.float32) for condition in (first, *conditions)]
        return terms[0].apply("Sum", *terms[1:])
    counts = first.astype(np.int16)
    for condition in conditions:
        counts += condition
    return counts


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
