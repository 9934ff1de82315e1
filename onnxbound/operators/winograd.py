"""3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3): 16 products where the definition takes 36.

Every 2x2 tile of the result depends on a 4x4 tile d of the input, and is A^T (U * (B^T d B)) A with U = G g G^T the
transformed kernel g (Winograd 1980; Lavin and Gray 2016). B and A hold only 0, 1 and -1, so their transforms are sums.
The products over channels are 16 matrix products over all tiles.

Results differ from the definition's by rounding, and by another rounding at odd places than at even ones: where equal
numbers have to stay equal, as for the ties of a pool behind it, the definition has to be used.
"""

from dataclasses import dataclass

import numpy as np

from onnxbound.operators.shape import Array

_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_TILE_BYTES = 4 << 20
"""Transformed tiles of one block of rows: they should be in the cache when they are multiplied."""


@dataclass(frozen=True, eq=False)
class Winograd:
    """A transformed kernel and where it is applied.

    Attributes:
        matrices: U, `(16, c_in, c_out)`.
        begin: Padding before both axes.
        output: Lengths of the result.
    """

    matrices: Array
    begin: tuple[int, ...]
    output: tuple[int, ...]

    @classmethod
    def of(cls, weight: Array, begin: tuple[int, ...], output: tuple[int, ...]) -> "Winograd":
        """Transform a kernel `(c_out, c_in, 3, 3)`."""
        transformed = np.einsum("ui,vj,ocij->uvco", _G, _G, weight.astype(np.float64))
        return cls(transformed.reshape(16, *transformed.shape[2:]).astype(weight.dtype), begin, output)

    def apply(self, x: Array) -> Array:
        """Convolve x `(b, c_in, h, w)`: `(b, c_out, *output)`, both channels last in memory."""
        rows, (_, c_in, c_out) = len(x), self.matrices.shape
        high, wide = (-(-n // 2) for n in self.output)
        tiles = high * wide
        step = max(1, min(rows, _TILE_BYTES // (16 * tiles * max(c_in, c_out) * x.itemsize)))
        source, target = np.moveaxis(x, 1, -1), np.empty((rows, *self.output, c_out), x.dtype)
        padded = np.zeros((step, 2 * high + 2, 2 * wide + 2, c_in), x.dtype)
        axes = zip(self.begin, source.shape[1:3], padded.shape[1:3], strict=True)
        inside = [slice(b, min(b + n, length)) for b, n, length in axes]
        seen = [slice(0, place.stop - place.start) for place in inside]
        lines = np.empty((4, step, high, 2 * wide + 2, c_in), x.dtype)
        spread = np.empty((4, 4, step, high, wide, c_in), x.dtype)
        products = np.empty((16, step * tiles, c_out), x.dtype)
        for start in range(0, rows, step):
            block = slice(start, min(start + step, rows))
            n = block.stop - block.start
            padded[(slice(n), *inside)] = source[(block, *seen)]
            _spread([padded[:n, i : i + 2 * high - 1 : 2] for i in range(4)], list(lines[:, :n]))
            # Contiguous over the rows of a short last block as well.
            d = spread.reshape(-1)[: 16 * n * tiles * c_in].reshape(4, 4, n, high, wide, c_in)
            _spread([lines[:, :n, :, j : j + 2 * wide - 1 : 2] for j in range(4)], [d[:, j] for j in range(4)])
            m = products.reshape(-1)[: 16 * n * tiles * c_out].reshape(16, n * tiles, c_out)
            np.matmul(d.reshape(16, n * tiles, c_in), self.matrices, out=m)
            _gather(m.reshape(4, 4, n, high, wide, c_out), target[block])
        return np.moveaxis(target, -1, 1)


def _spread(d: list[Array], out: list[Array]) -> None:
    """B^T along one axis."""
    np.subtract(d[0], d[2], out=out[0])
    np.add(d[1], d[2], out=out[1])
    np.subtract(d[2], d[1], out=out[2])
    np.subtract(d[1], d[3], out=out[3])


def _gather(m: Array, target: Array) -> None:
    """A^T m A of every tile `(4, 4, b, high, wide, c)`, into its place in `(b, h, w, c)`; m is overwritten."""
    for i, half in enumerate(_halves(m)):
        for j, quarter in enumerate(_halves(half)):
            place = target[:, i::2, j::2]
            place[...] = quarter[:, : place.shape[1], : place.shape[2]]


def _halves(m: Array) -> tuple[Array, Array]:
    """A^T along the first axis, in place of its second and third entries."""
    total, difference = m[0], m[1]
    total += m[1]
    total += m[2]
    difference -= m[2]
    difference -= m[3]
    return total, difference
