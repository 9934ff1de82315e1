"""Matrix-Project-Conv, [A] Algorithm 4: a kernel as its projection on a random subspace, and a filter per position.

At every output position the kernel is projected again, on k random tensors of its own inside the subspace. The
parameters are the kernel's coordinates there; the tensors come from the helper string. The result is a locally
connected layer.

It is unbiased. Its positions are not independent as [A] Lemma 12 claims: all share the subspace. So its noise is
measured, and no theorem is claimed for it.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, log2, prod, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound.results import Float64Array
from onnxbound.rng import normal_noise, select_rows, sign_words

SubspaceName = Literal["haar", "hadamard"]

HAAR_ENTRIES = 1 << 20
"""Entries of an orthonormal basis up to which it is computed by QR; above it the subspace is Hadamard's."""

_FILTER_STREAM = (1 << 61) + 2
_BASIS_STREAM = (1 << 61) + 3
_STEPS_PER_NORM = 16


@dataclass(frozen=True, slots=True)
class Subspace:
    """A random subspace of R^n.

    Attributes:
        name: "haar", uniformly distributed, or "hadamard": some coordinates, drawn at random, of the vector padded to a
            power of two, its signs changed at random, under the Walsh-Hadamard transform.
        size: n.
        dimension: kp.
        seed: Of the helper string.
        layer: Number of the layer there.
    """

    name: SubspaceName
    size: int
    dimension: int
    seed: int
    layer: int

    @property
    def padded(self) -> int:
        """n, or the power of two that is reached by padding."""
        return self.size if self.name == "haar" else 1 << (self.size - 1).bit_length()

    def _basis(self) -> Float64Array:
        return _haar_basis(self.seed, self.layer, self.size, self.dimension)

    def _rows_and_signs(self) -> tuple[NDArray[np.int64], Float64Array]:
        rows = select_rows(self.seed, self.padded, self.dimension, stream=_BASIS_STREAM + self.layer)
        words = sign_words(self.seed, self.layer, _BASIS_STREAM, 0, 1 + self.size // 32768).view(np.uint8)
        bits = np.unpackbits(words.ravel()[: self.size // 8 + 1], bitorder="little")
        return rows, bits[: self.size].astype(np.float64) * 2 - 1

    def coordinates(self, vector: Float64Array) -> Float64Array:
        """Q^T a, (kp,)."""
        if self.name == "haar":
            return np.asarray(self._basis().T @ vector)
        rows, signs = self._rows_and_signs()
        padded = np.zeros((1, self.padded))
        padded[0, : self.size] = signs * vector
        return np.asarray(walsh_hadamard(padded)[0, rows] / sqrt(self.padded))

    def vectors(self, coordinates: Float64Array) -> Float64Array:
        """Q y for every row y, (b, n)."""
        if self.name == "haar":
            return np.asarray(coordinates @ self._basis().T)
        rows, signs = self._rows_and_signs()
        spread = np.zeros((len(coordinates), self.padded))
        spread[:, rows] = coordinates
        return walsh_hadamard(spread)[:, : self.size] * signs / sqrt(self.padded)


@dataclass(frozen=True, slots=True)
class SubspaceCode:
    """A kernel as Matrix-Project-Conv describes it.

    Attributes:
        shape: Of the kernel.
        subspace: S.
        spacing: Grid of the coordinates.
        codes: Coordinates of the kernel in S over the spacing, (kp,).
        projections: k, per position.
    """

    shape: tuple[int, ...]
    subspace: Subspace
    spacing: float
    codes: NDArray[np.int64]
    projections: int

    @property
    def width(self) -> int:
        """Bits of one code."""
        return max(1, ceil(log2(2 * int(np.abs(self.codes).max(initial=0)) + 1)))

    def filters(self, positions: int) -> Float64Array:
        """A^ at every position: (1/k) sum_l <A, M'_l> M'_l, M' = sqrt(n / kp) Proj_S M, M Gaussian; (p, *shape)."""
        coordinates = self.codes * self.spacing
        share = np.empty((positions, len(coordinates)))
        for position in range(positions):
            drawn = self._gaussians(position)
            share[position] = drawn.T @ (drawn @ coordinates) / self.projections
        scale = self.subspace.padded / self.subspace.dimension
        return (scale * self.subspace.vectors(share)).reshape(positions, *self.shape)

    def _gaussians(self, position: int) -> Float64Array:
        """Coordinates in S of the k tensors of a position, (k, kp)."""
        at = np.array([position])
        size = self.projections * len(self.codes)
        noise = normal_noise(self.subspace.seed, self.subspace.layer, at, _FILTER_STREAM, size)
        return noise.reshape(self.projections, -1).astype(np.float64)


@lru_cache(maxsize=1)
def _haar_basis(seed: int, layer: int, size: int, dimension: int) -> Float64Array:
    """Orthonormal columns that span the columns of a Gaussian matrix, (n, kp)."""
    noise = normal_noise(seed, layer, np.arange(size), _BASIS_STREAM, dimension)
    return np.linalg.qr(noise.astype(np.float64))[0]


def repetitions(eta: float) -> int:
    """p = 2 ceil(log2(1/eta) / 2).

    >>> repetitions(0.05)
    6
    """
    return 2 * ceil(log2(1 / eta) / 2)


def projections_of_kernel(kernel: tuple[int, ...], stride: tuple[int, ...], epsilon: float, eta: float) -> int:
    """K = ceil(kappa / s)^2 ln^2(1/eta) / eps^2, constants left out as in the paper."""
    overlap = prod(ceil(k / s) for k, s in zip(kernel, stride, strict=True))
    return ceil(overlap * log(1 / eta) ** 2 / epsilon**2)


def matrix_project_conv(
    kernel: Float64Array,
    projections: int,
    repeated: int,
    *,
    seed: int,
    layer: int,
    subspace: SubspaceName | None = None,
) -> SubspaceCode:
    """Algorithm 4 with rounding of the coordinates.

    Args:
        kernel: A, (c_out, c_in/groups, *kernel), of n entries.
        projections: k.
        repeated: p; k p < n is the dimension of the subspace.
        seed: Of the helper string.
        layer: Number of the layer there.
        subspace: Which kind; None takes Haar's where its basis is small enough.
    """
    dimension = projections * repeated
    name: SubspaceName = subspace or ("haar" if kernel.size * dimension <= HAAR_ENTRIES else "hadamard")
    space = Subspace(name, kernel.size, dimension, seed, layer)
    coordinates = space.coordinates(kernel.ravel())
    spacing = float(np.linalg.norm(kernel)) / sqrt(kernel.size) / _STEPS_PER_NORM or 1.0
    codes = np.rint(coordinates / spacing).astype(np.int64)
    return SubspaceCode(kernel.shape, space, spacing, codes, projections)


def walsh_hadamard(rows: Float64Array) -> Float64Array:
    """The transform of every row, in the order of the Sylvester matrices, not normalised; (b, N), N a power of two.

    >>> walsh_hadamard(np.array([[1.0, 0.0, 0.0, 1.0]]))
    array([[2., 0., 0., 2.]])
    """
    result, half = np.array(rows), 1
    while half < rows.shape[1]:
        pairs = result.reshape(len(rows), -1, 2, half)
        result = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2)
        result = result.reshape(rows.shape)
        half *= 2
    return result
