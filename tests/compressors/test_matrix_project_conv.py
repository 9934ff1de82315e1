"""Algorithm 4: unbiased with either subspace, and not independent between positions as Lemma 12 claims."""

import numpy as np
import pytest
from scipy.linalg import hadamard

from onnxbound.compressors.matrix_project_conv import Subspace, matrix_project_conv, walsh_hadamard
from onnxbound.results import Float64Array
from tests.compressors.statistics import require_unbiased

KERNEL = np.random.default_rng(0).normal(size=(2, 3, 2, 2))


@pytest.mark.parametrize("name", ["haar", "hadamard"])
def test_unbiased(name: str) -> None:
    """2,000 subspaces of dimension 6 of R^24; at each of two positions the filter is A in the mean."""
    draws = [
        matrix_project_conv(KERNEL, 3, 2, seed=s, layer=1, subspace=name).filters(2)  # type: ignore[arg-type]
        for s in range(2000)
    ]
    require_unbiased(np.stack(draws), np.stack([KERNEL, KERNEL]))


@pytest.mark.parametrize("name", ["haar", "hadamard"])
def test_the_basis_is_orthonormal(name: str) -> None:
    space = Subspace(name, 24, 6, 3, 1)  # type: ignore[arg-type]
    basis = space.vectors(np.eye(6))
    if name == "haar":
        np.testing.assert_allclose(basis @ basis.T, np.eye(6), atol=1e-12)
    else:
        assert (np.abs(np.abs(basis) - 1 / np.sqrt(32)) < 1e-12).all()
    a = KERNEL.ravel()
    np.testing.assert_allclose(space.coordinates(a), basis @ a, atol=1e-12)


def test_walsh_hadamard() -> None:
    x = np.random.default_rng(1).normal(size=(3, 32))
    np.testing.assert_allclose(walsh_hadamard(x), x @ hadamard(32), atol=1e-12)


def gaussian_filters(kernel: Float64Array, projections: int, positions: int, seed: int) -> Float64Array:
    """Algorithm 1 with Gaussians that are independent at every position, what Lemma 12 claims Algorithm 4 to be."""
    random = np.random.default_rng(seed)
    drawn = random.normal(size=(positions, projections, kernel.size))
    return np.einsum("pkn,pk->pn", drawn, drawn @ kernel.ravel()) / projections


def test_lemma_12_is_false() -> None:
    """n = 144, k = 8, p = 4: filters of different positions are correlated, and a coherent sum over positions shows it.

    <U, A^ - A> / |A| averaged over 64 positions, U = A / |A|, 150 draws: independent filters give an eighth of one
    position's error, 0.06; here about 0.2 stays, and two positions have a correlation of about 0.15.
    """
    kernel = np.random.default_rng(2).normal(size=(4, 4, 3, 3))
    direction, size = kernel.ravel() / np.linalg.norm(kernel), np.linalg.norm(kernel)
    shared, independent = [], []
    for seed in range(150):
        code = matrix_project_conv(kernel, 8, 4, seed=seed, layer=1, subspace="haar")
        shared.append(code.filters(64).reshape(64, -1) @ direction / size - 1)
        independent.append(gaussian_filters(kernel, 8, 64, seed) @ direction / size - 1)
    found = []
    for errors in map(np.array, (shared, independent)):
        variance, of_mean = float(np.mean(errors**2)), float(np.mean(np.mean(errors, axis=1) ** 2))
        found.append((np.sqrt(of_mean), (64 * of_mean / variance - 1) / 63))
    (coherent, correlation), (independent_mean, uncorrelated) = found
    assert coherent > 2 * independent_mean
    assert correlation > 0.1
    assert abs(uncorrelated) < 0.01
