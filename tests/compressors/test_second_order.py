"""Rounding with compensation against plain rounding and against every choice there is."""

from itertools import product

import numpy as np
import pytest

from onnxbound.compressors.grid import full_scales
from onnxbound.compressors.second_order import compensation, rounded
from onnxbound.graph.small_integers import largest_level


def cost(matrix: np.ndarray, other: np.ndarray, moment: np.ndarray) -> np.ndarray:
    return np.vecdot((other - matrix) @ moment, other - matrix)


@pytest.mark.parametrize("seed", range(5))
def test_correlated_inputs_cost_far_less_than_by_nearest_levels(seed: int) -> None:
    random = np.random.default_rng(seed)
    z = random.normal(size=(500, 6)) @ random.normal(size=(6, 40)) + 0.1 * random.normal(size=(500, 40))
    moment, matrix = z.T @ z / 500, random.normal(size=(7, 40))
    scales = full_scales(matrix, 4)
    nearest = np.clip(np.rint(matrix / scales), -7, 7) * scales
    found = rounded(matrix, moment, scales, 4)
    assert np.abs(found.levels).max() <= largest_level(4)
    assert np.all(cost(matrix, found.matrix(), moment) < 0.5 * cost(matrix, nearest, moment))


def test_close_to_the_best_of_all_choices() -> None:
    """On entries so few that all neighbours can be tried, at the scale that was chosen."""
    random = np.random.default_rng(3)
    z = random.normal(size=(100, 8)) @ random.normal(size=(8, 8))
    moment, matrix = z.T @ z / 100, random.normal(size=(12, 8))
    found = rounded(matrix, moment, full_scales(matrix, 8), 8)
    for row, scale, mine in zip(matrix, found.scales[:, 0].astype(float), found.matrix(), strict=True):
        choices = np.array(list(product((0, 1), repeat=8))) + np.floor(row / scale)
        best = cost(row, scale * choices, moment).min()
        assert cost(row, mine, moment) <= 6 * best


def test_white_inputs_give_the_nearest_levels() -> None:
    matrix = np.random.default_rng(4).normal(size=(5, 20))
    found = rounded(matrix, np.eye(20), full_scales(matrix, 8), 8)
    scales = found.scales.astype(np.float64)
    np.testing.assert_array_equal(found.levels, np.clip(np.rint(matrix / scales), -127, 127))


def test_scales_per_block() -> None:
    """A block of large entries leaves the others' steps short."""
    matrix = np.random.default_rng(5).normal(size=(4, 32))
    matrix[:, :8] *= 100
    whole, blocks = (rounded(matrix, np.eye(32), full_scales(matrix, 4, b), 4, b) for b in (0, 8))
    small = slice(8, None)
    errors = [np.abs(each.matrix()[:, small] - matrix[:, small]).mean() for each in (whole, blocks)]
    assert errors[1] < 0.2 * errors[0]


def test_compensation() -> None:
    """Upper triangular, U^T U the inverse; and a matrix that has none is refused."""
    root = np.random.Generator(np.random.Philox(2)).normal(size=(30, 30))
    matrix = root.T @ root / 30 + 0.05 * np.eye(30)
    upper = compensation(matrix)
    np.testing.assert_allclose(upper.T @ upper @ matrix, np.eye(30), atol=1e-9)
    assert not np.tril(upper, -1).any()
    with pytest.raises(ValueError, match="positive definite"):
        compensation(-matrix)
