"""What the weighted layers Conv and Gemm/MatMul have in common."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from onnxbound.operators import calculus
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.operator import Affine, Array, Shape, Tensor, join_streams, split_streams

_BAND_BYTES = 16 << 20

_HALF_RANGE = 2.0**14
"""What no product in half precision exceeds; the largest float16 is 65,504."""

_NO_LENGTH = 1e-30
"""Length of zeros, so that nothing is divided by 0."""


@dataclass(frozen=True, eq=False)
class Weighted(Affine):
    """A layer `x -> A x + bias` with a trained weight A, the A^i of [A] with the BatchNorm behind it folded in.

    Attributes:
        weight: The weight as the file has it, output channels first; possibly memory-mapped.
        scale: Factor per output channel, float64, shape (h,), from alpha or a folded BatchNorm; None for one.
        bias: Shift per output channel, float64, shape (h,); None for zero.
    """

    weight: Array
    scale: NDArray[np.float64] | None
    bias: NDArray[np.float64] | None

    @property
    def channels(self) -> int:
        """Output channels h of a Conv, output units of a dense layer."""
        return int(self.weight.shape[0])

    @property
    @abstractmethod
    def channel_axis(self) -> int:
        """Axis of the channels in `(b, *output_shape)`."""

    @abstractmethod
    def positions(self, input_shape: Shape) -> int:
        """Number p of positions at which the weight is applied."""

    @abstractmethod
    def map_frobenius_squared(self, input_shape: Shape) -> float:
        """Squared Frobenius norm of the whole linear map x -> A x, every application of each weight counted."""

    def effective_weight(self) -> NDArray[np.float64]:
        """A^i in float64, the folded scale in it, shape `(h_out, h_in)` or `(c_out, c_in/groups, *kernel)`."""
        weight = np.asarray(self.weight, np.float64)
        return weight if self.scale is None else weight * _per_channel(self.scale, weight.ndim)

    def jvp(self, state: Tensor, *t: Tensor) -> Tensor:
        x = join_streams(t[0])
        halved = isinstance(x, Symbol) and x.e.half
        return split_streams(self._in_half(x) if halved else self._linear_of_streams(x), t[0].shape)

    def act_quickly(self, *x: Tensor) -> Tensor:
        return self.add_shift(self._linear_of_streams(x[0]))

    def _linear_of_streams(self, x: Tensor) -> Tensor:
        """A x, for x that nothing is compared with."""
        return self.linear(x)

    def _in_half(self, x: Tensor) -> Tensor:
        """A x by a product in float16, for x that nothing is compared with.

        It is taken of numbers as large as its range allows: with |x| = 2^14 and rows of A of norm 1, no entry of A x
        is larger than 2^14, by Cauchy and Schwarz.
        """
        operator, unit = self._halved
        length = np.maximum(x.reduce("ReduceL2", tuple(range(1, x.ndim)), keepdims=True), np.float32(_NO_LENGTH))
        y = operator.linear((x * (np.float32(_HALF_RANGE) / length)).astype(np.float16)).astype(np.float32)
        factors = (length * np.float32(unit / _HALF_RANGE)).reshape(x.shape[0], *(1,) * (y.ndim - 1))
        return y * factors

    @cached_property
    def _halved(self) -> tuple[Self, float]:
        """The layer without bias in float16, its largest row of norm 1, and what it is to be multiplied by."""
        unit = max(float(np.sqrt(np.vecdot(band, band).max())) for band in self.bands()) or 1.0
        weight = np.asarray(self.effective_weight() / unit, np.float16)
        return replace(self, weight=weight, scale=None, bias=None), unit

    @property
    def matrix(self) -> Array:
        """The weight without its scale as `(h, entries of a unit)`, a view of it where its layout allows."""
        return self.weight.reshape(self.channels, -1)

    def bands(self) -> Iterator[NDArray[np.float64]]:
        """A^i as a matrix `(h, entries of a unit)` in float64, some rows at a time."""
        return bands(self.matrix, self.scale)

    def frobenius_squared(self) -> float:
        """|A^i|_F^2."""
        return sum(float(np.vdot(band, band)) for band in self.bands())

    def followed_by(self, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Self:
        """This layer with the map `y -> scale y + shift`, both of shape (h,), folded in behind it."""
        own_scale = np.ones(self.channels) if self.scale is None else self.scale
        own_bias = np.zeros(self.channels) if self.bias is None else self.bias
        new_scale = scale * own_scale
        return replace(self, scale=None if np.all(new_scale == 1) else new_scale, bias=scale * own_bias + shift)

    def cast(self, dtype: DTypeLike) -> Self:
        """The layer with A and bias rounded once to `dtype`; a weight that is of that type already is not copied."""
        bias = None if self.bias is None else self.bias.astype(dtype)
        weight = self.weight
        if self.scale is not None:
            weight = np.empty_like(self.weight, dtype, subok=False)
            for place, factor in enumerate(self.scale):
                weight[place] = np.multiply(self.weight[place], factor, dtype=np.float64)
        return replace(self, weight=weight.astype(dtype, copy=False), scale=None, bias=bias)

    def _beside(self, y: Tensor, bias: Array) -> Tensor:
        """The bias as it broadcasts to outputs `(n, *output_shape)`."""
        behind = y.ndim - 1 - self.channel_axis % y.ndim
        return calculus.beside(y, bias).reshape(-1, *(1,) * behind)

    def add_shift(self, y: Tensor) -> Tensor:
        """The bias, added in place."""
        if self.bias is not None:
            y += self._beside(y, self.bias)
        return y

    def without_shift(self, y: Tensor) -> Tensor:
        """A x from y = A x + bias."""
        return y if self.bias is None else y - self._beside(y, self.bias)

    def weight_cotangent(self, x: Array, c: Array, entries: NDArray[np.int64]) -> Array:
        """The cotangent of A, per row: of each `<c, A x>` the derivative with respect to entries of A.

        A layer with a single position, such as a dense one, computes no others.

        Args:
            x: What enters the layer, `(n, *input_shape)`.
            c: Cotangents of what leaves it, `(s, n, *output_shape)`.
            entries: Places in the flattened A, `(e,)`.

        Returns:
            `(s, n, e)`.
        """
        units, patches = self.by_group(c), self.patches(x)
        if patches.shape[-2] > 1:
            return self.as_weight(np.matmul(units, patches)).reshape(*c.shape[:2], -1)[:, :, entries]
        shape = (*units.shape[2:4], patches.shape[-1])
        places = self.as_weight(np.arange(np.prod(shape)).reshape(shape)).ravel()[entries]
        group, unit, entry = np.unravel_index(places, shape)
        found: Array = units[:, :, group, unit, 0] * patches[:, group, 0, entry]
        return found

    @abstractmethod
    def weight_gradient(self, x: Symbol, c: Symbol) -> Symbol:
        """The cotangent of A, added up over rows, in a graph: `weight.shape`.

        Args:
            x: What enters the layer, `(n, *input_shape)`.
            c: Cotangents of what leaves it, `(n, *output_shape)`.
        """

    def emitted(self) -> Iterator[tuple[str, Array]]:
        """The arrays that are written as constants, by the names of what they are."""
        yield "weight", self.weight
        if self.bias is not None:
            yield "bias", self.bias

    @abstractmethod
    def as_weight(self, products: Array) -> Array:
        """`(..., groups, units of a group, entries of a unit)`, as `by_group` and `patches` order them, as A."""

    def weight_cotangent_squared(self, x: Array, c: Array) -> NDArray[np.float64]:
        """|G|_F^2 of the cotangent G of A, without forming G where that is cheaper.

        G is a product C^T X per group, with one row of the cotangents C and of the patches X for each position. So
        |G|_F^2 is also the inner product of C C^T with X X^T, which are as large as there are positions: for one
        position |c|^2 |x|^2.

        Args:
            x: What enters the layer, `(n, *input_shape)`.
            c: Cotangents of what leaves it, `(s, n, *output_shape)`.

        Returns:
            `(s, n)`.
        """
        patches, units = self.patches(x), self.by_group(c)
        (positions, entries), (height, streams) = patches.shape[-2:], (units.shape[-2], len(c))
        if positions * (streams * height + entries) < streams * height * entries:
            left, right = np.matmul(units.swapaxes(-1, -2), units), np.matmul(patches, patches.swapaxes(-1, -2))
        else:
            left = right = np.matmul(units, patches)
        return np.asarray(np.vecdot(left, right).sum(axis=(-2, -1), dtype=np.float64))

    @abstractmethod
    def patches(self, x: Array) -> Array:
        """The entries of x that A meets at each position, `(n, groups, positions, entries of a unit)`."""

    @abstractmethod
    def by_group(self, c: Array) -> Array:
        """Cotangents of what leaves the layer as `(s, n, groups, units of a group, positions)`."""

    @abstractmethod
    def bias_cotangent(self, c: Array) -> Array:
        """The cotangent of the bias, per row: c added up over positions, `(s, n, h)`."""


def bands(matrix: Array, factors: NDArray[np.float64] | None = None, *, axis: int = 0) -> Iterator[NDArray[np.float64]]:
    """A matrix in float64, some rows at a time, or some columns: no second copy of a large weight is made.

    Args:
        matrix: Of any float type, possibly memory-mapped.
        factors: Per row; None for one.
        axis: 0 for rows, 1 for columns.
    """
    length = matrix.shape[axis]
    step = max(1, _BAND_BYTES * length // max(8 * matrix.size, 1))
    for start in range(0, length, step):
        part = slice(start, start + step)
        band = np.asarray(matrix[part] if axis == 0 else matrix[:, part], np.float64)
        if factors is not None:
            band = band * (factors[part] if axis == 0 else factors)[:, None]
        yield band


def _per_channel(values: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
    return values.reshape(-1, *(1,) * (ndim - 1))
