"""3x3 convolutions of stride 1 by Winograd's F(m x m, 3 x 3): 36 products where the definition takes 144, for m = 4.

Every m x m tile of the result depends on an (m + 2) x (m + 2) tile d of the input, and is A^T (U * (B^T d B)) A with
U = G g G^T the transformed kernel g (Winograd 1980; Lavin and Gray 2016). A tile's transforms are one product with the
Kronecker square of their matrix, and the products over channels are one product of matrices per entry of U, over all
tiles. Along an axis of one or two places that zeros surround, only what meets the input is computed.

The points of m = 4, 0, +-1/sqrt 2 and +-sqrt 2, lose less to rounding than 0, +-1 and +-2: in float32 with 512
channels, the error against float64 is 2.4e-6 of the result's size, where the definition's is 3.6e-7. It differs from
place to place: where equal numbers have to stay equal, as for the ties of a pool behind it, the definition has to be
used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from onnxbound.operators.shape import Array

_TAPS = 3
_POINTS = {2: (0, 1, -1), 3: (0, 0.7, -0.7, 1.9), 4: (0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))}
"""By outputs of a tile, where the polynomials of its input and of the kernel are multiplied; infinity comes last."""

_TILE_BYTES = 2 << 20
"""Transformed tiles of one block of rows: they should be in the cache when they are multiplied."""

_CHANNELS = 64
"""Input channels whose kernels are transformed at a time, in double precision."""

_BLOCK_TILES = 128
"""Fewer tiles than that would make products of matrices that do not reach their full rate."""


@dataclass(frozen=True, eq=False)
class Axis:
    """How one axis is cut into tiles, and a tile's algorithm.

    Attributes:
        tiles: Number of tiles.
        begin: Zeros before the first tile's input.
        gather: A^T, `(outputs, products)`.
        kernel: G, `(products, 3)`.
        spread: B^T, `(products, inputs)`.
    """

    tiles: int
    begin: int
    gather: Array
    kernel: Array
    spread: Array

    @classmethod
    def of(cls, size: int, begin: int, output: int) -> "Axis":
        """The way with the fewest products along an axis of so many inputs and outputs."""
        if (size, begin, output) == (1, 1, 1):
            return cls(1, 0, np.ones((1, 1)), np.array([[0, 1, 0]]), np.ones((1, 1)))
        if (size, begin, output) == (2, 1, 2):
            spread = np.array([[1, 0], [1, 1], [0, 1]])
            return cls(1, 0, np.array([[0, 1, 1], [1, 1, 0]]), np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]]), spread)
        m = min(_POINTS, key=lambda m: (-(-output // m) * (m + _TAPS - 1), -m))
        inverse = np.linalg.inv(_powers(_POINTS[m], m + _TAPS - 1))
        return cls(-(-output // m), begin, _powers(_POINTS[m], m).T, _powers(_POINTS[m], _TAPS), inverse.T)

    @property
    def outputs(self) -> int:
        """Outputs of a tile: the step from one tile to the next."""
        return len(self.gather)

    @property
    def inputs(self) -> int:
        """Inputs of a tile."""
        return int(self.spread.shape[1])

    @property
    def length(self) -> int:
        """Of the padded input."""
        return (self.tiles - 1) * self.outputs + self.inputs

    def place(self, size: int) -> tuple[slice, slice]:
        """Where the input stands in the padded one, and how much of it does."""
        stop = min(self.begin + size, self.length)
        return slice(self.begin, stop), slice(stop - self.begin)


def _powers(points: Sequence[float], count: int) -> Array:
    """Values of the monomials at the points, and at infinity: `(points + 1, count)`."""
    at_infinity = np.eye(count)[-1:]
    return np.concatenate([np.vander(points, count, increasing=True), at_infinity])


@dataclass(frozen=True, eq=False)
class Winograd:
    """A transformed kernel and where it is applied.

    Attributes:
        axes: Of both axes, their tiles.
        output: Lengths of the result.
        matrices: U, `(products, c_in, c_out)`.
        spread: B^T of both axes, `(products, inputs)`.
        gather: A^T of both axes, `(outputs, products)`.
    """

    axes: tuple[Axis, Axis]
    output: tuple[int, ...]
    matrices: Array
    spread: Array
    gather: Array

    @classmethod
    def of(cls, weight: Array, size: tuple[int, ...], begin: tuple[int, ...], output: tuple[int, ...]) -> "Winograd":
        """Transform a kernel `(c_out, c_in, 3, 3)` for an input of that size with so many zeros before it."""
        high, wide = (Axis.of(*lengths) for lengths in zip(size, begin, output, strict=True))
        spread, gather, kernel = (
            np.kron(getattr(high, name), getattr(wide, name)) for name in ("spread", "gather", "kernel")
        )
        matrices = np.empty((len(kernel), weight.shape[1], weight.shape[0]), weight.dtype)
        for start in range(0, weight.shape[1], _CHANNELS):
            part = slice(start, start + _CHANNELS)
            taps = weight[:, part].transpose(2, 3, 1, 0).astype(np.float64)
            matrices[:, part] = (kernel @ taps.reshape(_TAPS**2, -1)).reshape(-1, *taps.shape[2:])
        cast = (np.ascontiguousarray(each, weight.dtype) for each in (spread, gather))
        return cls((high, wide), output, matrices, *cast)

    def apply(self, x: Array) -> Array:
        """Convolve x `(b, c_in, h, w)`: `(b, c_out, *output)`, both channels last in memory."""
        high, wide = self.axes
        rows, tiles, (products, c_in, c_out) = len(x), high.tiles * wide.tiles, self.matrices.shape
        fitting = _TILE_BYTES // (products * tiles * max(c_in, c_out) * x.itemsize)
        step = min(rows, max(1, fitting, -(-_BLOCK_TILES // tiles)))
        source, target = np.moveaxis(x, 1, -1), np.empty((rows, *self.output, c_out), x.dtype)
        padded = np.zeros((step, high.length, wide.length, c_in), x.dtype)
        inside, seen = zip(*(axis.place(n) for axis, n in zip(self.axes, source.shape[1:3], strict=True)), strict=True)
        of_tiles = _tiles(padded, high, wide)
        spaces = [np.empty(step * tiles * prod(shape), x.dtype) for shape in self._shapes(c_in, c_out)]
        for start in range(0, rows, step):
            block = slice(start, min(start + step, rows))
            n = block.stop - start
            # Contiguous over the rows of a short last block as well.
            parts = zip(spaces, self._shapes(c_in, c_out), strict=True)
            taken, spread, multiplied, gathered = (
                space[: n * tiles * first * channels].reshape(first, n * tiles, channels)
                for space, (first, channels) in parts
            )
            padded[(slice(n), *inside)] = source[(block, *seen)]
            taken.reshape(*of_tiles.shape[:2], n, *of_tiles.shape[3:])[...] = of_tiles[:, :, :n]
            np.matmul(self.spread, taken.reshape(len(taken), -1), out=spread.reshape(products, -1))
            np.matmul(spread, self.matrices, out=multiplied)
            np.matmul(self.gather, multiplied.reshape(products, -1), out=gathered.reshape(len(gathered), -1))
            self._put(gathered.reshape(high.outputs, wide.outputs, n, high.tiles, wide.tiles, c_out), target[block])
        return np.moveaxis(target, -1, 1)

    def _shapes(self, c_in: int, c_out: int) -> tuple[tuple[int, int], ...]:
        """Per tile, of its input, that transformed, the products, and the result."""
        (outputs, products), inputs = self.gather.shape, self.spread.shape[1]
        return (inputs, c_in), (products, c_in), (products, c_out), (outputs, c_out)

    def _put(self, gathered: Array, target: Array) -> None:
        """Write every tile `(outputs, outputs, b, tiles, tiles, c)` into its place in `(b, h, w, c)`."""
        high, wide = self.axes
        for i in range(high.outputs):
            for j in range(wide.outputs):
                place = target[:, i :: high.outputs, j :: wide.outputs]
                place[...] = gathered[i, j, :, : place.shape[1], : place.shape[2]]


def _tiles(padded: Array, high: Axis, wide: Axis) -> Array:
    """The view `(inputs, inputs, b, tiles, tiles, c)` of every tile's input."""
    row, line, pixel, channel = padded.strides
    shape = (high.inputs, wide.inputs, len(padded), high.tiles, wide.tiles, padded.shape[-1])
    strides = (line, pixel, row, line * high.outputs, pixel * wide.outputs, channel)
    return as_strided(padded, shape, strides, writeable=False)
