"""Linear classifiers: Lemmas 4, 5 and 7 by simulation, and the cut that Lemma 5 prints."""

from math import sqrt

import numpy as np
import pytest

from onnxbound.compressors.vector import projections_of_vector, vector_compress, vector_project
from onnxbound.results import Float64Array
from tests.compressors.statistics import require_rarer, require_unbiased

GAMMA, ETA, DRAWS = 0.5, 0.1, 1000


def unit(size: int, seed: int) -> Float64Array:
    found = np.random.default_rng(seed).normal(size=size)
    return np.asarray(found / np.linalg.norm(found))


def test_vector_compress_is_unbiased_up_to_its_rounding() -> None:
    """Lemma 4. Coordinates below gamma / (4 sqrt h) are dropped on purpose, so none is here."""
    c = np.sign(unit(16, 0)) / 4
    draws = np.stack([vector_compress(c, 0.1, 0.9, seed=s, stream=0).vector() for s in range(4000)])
    step = 0.1 / (2 * sqrt(16))
    chance = min(1, 8 * c[0] ** 2 / (0.9 * 0.1**2))
    assert chance == 1
    np.testing.assert_allclose(draws.mean(axis=0), c, atol=step / 2)
    wide = np.stack([vector_compress(c, 1.0, 0.9, seed=s, stream=0).vector() for s in range(4000)])
    kept = 8 * c[0] ** 2 / 0.9
    rounded = np.rint(np.abs(c[0]) / kept / (1 / 8)) * (1 / 8) * kept
    require_unbiased(wide, np.sign(c) * rounded)


@pytest.mark.parametrize("spread", [True, False])
def test_lemma_5_corrected(spread: bool) -> None:
    """Pr[|<c^ - c, u>| > gamma] <= eta, for a spread vector and for one with a few large coordinates."""
    c, u = unit(200, 1), unit(200, 2)
    if not spread:
        c = c**3 / np.linalg.norm(c**3)
    codes = [vector_compress(c, GAMMA, ETA, seed=s, stream=0) for s in range(DRAWS)]
    require_rarer(sum(abs(code.vector() @ u - c @ u) > GAMMA for code in codes), DRAWS, ETA)
    assert all(code.bits == len(code.places) * (8 + 1 + int(np.abs(code.levels).max()).bit_length()) for code in codes)


def test_the_cut_that_lemma_5_prints_breaks_it() -> None:
    """'0 if |c~_i| >= 2 eta gamma sqrt h' deletes the largest coordinates, whose p is 1: it fails in every draw."""
    c = np.full(100, 0.01)
    c[0] = 0.99
    u = np.eye(100)[0]
    failed = whole = 0
    for seed in range(200):
        vector = vector_compress(c, GAMMA, 0.05, seed=seed, stream=0).vector()
        cut = np.where(np.abs(vector) >= 2 * 0.05 * GAMMA * sqrt(100), 0.0, vector)
        failed += abs(cut @ u - c @ u) > GAMMA
        whole += abs(vector @ u - c @ u) > GAMMA
    assert (failed, whole) == (200, 0)


@pytest.mark.parametrize("constants", ["paper", "explicit"])
def test_lemma_7(constants: str) -> None:
    """Pr[|<c^ - c, u>| > gamma] <= eta for aligned u = c, where the error is largest, and for another."""
    c = unit(20, 3)
    count = projections_of_vector(GAMMA, ETA, constants)  # type: ignore[arg-type]
    vectors = [vector_project(c, GAMMA, count, seed=s, layer=1).vector() for s in range(300)]
    for u in (c, unit(20, 4)):
        require_rarer(sum(abs(v @ u - c @ u) > GAMMA for v in vectors), 300, ETA)


def test_vector_project_is_unbiased() -> None:
    c = unit(6, 5)
    require_unbiased(np.stack([vector_project(c, 0.01, 8, seed=s, layer=1).vector() for s in range(2000)]), c)


def test_rounding_of_vector_project() -> None:
    """|c^ - c^ unrounded| <= (1/k) sum_l (nu / 2) |v_l|."""
    c = unit(50, 6)
    code, fine = vector_project(c, 0.5, 40, seed=0, layer=1), vector_project(c, 1e-9, 40, seed=0, layer=1)
    assert code.spacing == 0.5 / (2 * sqrt(50 * 40))
    assert 0 < np.linalg.norm(code.vector() - fine.vector()) <= 0.5 / 4
