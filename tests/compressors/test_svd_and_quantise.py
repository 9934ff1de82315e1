"""The deterministic methods: best of their rank, within half a step."""

import numpy as np
import pytest

from onnxbound.compressors.quantise import quantise
from onnxbound.compressors.svd import rank_of_cut, rank_of_energy, truncate

MATRIX = np.random.default_rng(0).normal(size=(12, 30)) @ np.diag(1.3 ** -np.arange(30))


@pytest.mark.parametrize("rank", [1, 5, 12])
def test_truncation_is_the_best_of_its_rank(rank: int) -> None:
    """Eckart and Young: what is lost are the singular values behind."""
    sigma = np.linalg.svd(MATRIX, compute_uv=False)
    found = truncate(MATRIX, rank)
    assert found.rank == rank
    assert found.parameters == rank * 42
    lost = np.linalg.norm(MATRIX - found.matrix(), 2)
    assert lost == pytest.approx(sigma[rank] if rank < 12 else 0.0, abs=1e-5)


def test_lemma_1() -> None:
    """Rank at most |A|_F^2 / (delta |A|_2)^2, error below delta |A|_2."""
    size, squared = np.linalg.norm(MATRIX, 2), float(np.sum(MATRIX**2))
    for delta in (0.05, 0.3, 0.7, 1.0):
        rank = rank_of_cut(MATRIX, delta)
        assert 1 <= rank <= squared / (delta * size) ** 2 + 1e-9
        assert np.linalg.norm(MATRIX - truncate(MATRIX, rank).matrix(), 2) < delta * size


def test_energy() -> None:
    total = float(np.sum(MATRIX**2))
    for energy in (0.1, 0.5, 0.9, 0.999, 1.0):
        rank = rank_of_energy(MATRIX, energy)
        kept = [float(np.sum(truncate(MATRIX, r).matrix() ** 2)) / total for r in (rank - 1, rank) if r]
        assert kept[-1] >= energy - 1e-6
        assert rank == 1 or kept[0] < energy


def test_factors_of_few_bits() -> None:
    errors = [np.linalg.norm(MATRIX - truncate(MATRIX, 12, bits).matrix()) for bits in (4, 6, 8, 10)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02 * np.linalg.norm(MATRIX)
    assert len(np.unique(truncate(MATRIX, 12, 4).left)) <= 15


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_quantisation_errs_by_half_a_step(bits: int) -> None:
    found = quantise(MATRIX, bits)
    assert np.abs(found.levels).max() == 2 ** (bits - 1) - 1
    assert (np.abs(found.matrix() - MATRIX) <= found.steps[:, None] * (0.5 + 1e-6)).all()
    assert not quantise(np.zeros((2, 3)), bits).matrix().any()
