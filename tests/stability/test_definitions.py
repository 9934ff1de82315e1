"""Each property on numbers small enough to work out by hand, and its conventions at zero."""

import numpy as np
import pytest

from onnxbound.stability.contraction import activation_contraction, between_contraction
from onnxbound.stability.interlayer_cushion import interlayer_cushion, minimal_interlayer_cushion
from onnxbound.stability.layer_cushion import layer_cushion
from onnxbound.stability.noise_sensitivity import noise_sensitivity
from onnxbound.stability.row_margins import margins
from onnxbound.stability.smoothness import smoothness_inverse
from onnxbound.stability.well_distributed import well_distributed

nan = np.nan


def test_layer_cushion_is_undefined_without_input_and_zero_without_output() -> None:
    found = layer_cushion(np.array([2.0, 0.0, 0.0, 1.0]), 4.0, np.array([1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_array_equal(found, [0.5, 0.0, nan, nan])


def test_interlayer_cushion_scales_with_the_root_of_the_positions() -> None:
    found = interlayer_cushion(
        np.array([6.0, 0.0, 1.0]), np.array([3.0, 2.0, 0.0]), np.array([2.0, 1.0, 1.0]), positions=4
    )
    np.testing.assert_array_equal(found, [2.0, 0.0, nan])


def test_minimal_interlayer_cushion_of_the_last_layer_is_its_clip() -> None:
    clipped, unclipped = minimal_interlayer_cushion(16, np.empty((3, 0)))
    np.testing.assert_array_equal(clipped, 0.25)
    np.testing.assert_array_equal(unclipped, nan)


def test_contractions_are_undefined_where_nothing_passes() -> None:
    np.testing.assert_array_equal(
        activation_contraction(np.array([2.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])), [2.0, nan, nan]
    )
    sources = {1: np.array([3.0, 1.0]), 2: np.array([1.0, 1.0])}
    found = between_contraction({1: 2.0, 2: 0.5}, sources, np.array([2.0, 0.0]))
    np.testing.assert_array_equal(found, [3.25, nan])


def test_smoothness_inverse_is_zero_where_no_gate_flips() -> None:
    found = smoothness_inverse(
        np.array([0.2, 0.0, 0.1, 0.3]), 0.1, np.array([1.0, 1.0, 0.0, 1.0]), np.array([4.0, 0.0, 1.0, 0.0])
    )
    np.testing.assert_allclose(found, [0.5, 0.0, nan, nan])


def test_beta_is_one_when_every_pixel_matters_alike_and_root_p_when_one_does() -> None:
    found = well_distributed(np.array([0.25, 1.0, 0.0]), np.array([1.0, 1.0, 0.0]), positions=4)
    np.testing.assert_array_equal(found, [1.0, 2.0, nan])
    np.testing.assert_array_equal(well_distributed(np.array([0.0]), np.array([0.0]), positions=1), [1.0])


def test_margin_counts_a_tie_and_a_nan_as_errors() -> None:
    found = margins(
        np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0], [nan, 1.0, 0.0], [0.0, nan, 1.0]]), np.array([0, 0, 0, 2])
    )
    assert found[0] == 1.0
    assert (~(found > 0)).tolist() == [False, True, True, True]


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_noise_sensitivity_is_the_mean_over_gaussian_noise_and_at_least_the_stable_rank(shape: tuple[int, int]) -> None:
    """Proposition 3.1; 40,000 draws leave a relative standard error below 1 %, the band is five of them."""
    random = np.random.default_rng(0)
    a, x = random.normal(size=shape), random.normal(size=shape[1])
    closed = noise_sensitivity(float(np.sum(a**2)), np.array([np.linalg.norm(x)]), np.array([np.linalg.norm(a @ x)]))
    noise = random.normal(size=(40_000, shape[1])) * np.linalg.norm(x)
    drawn = np.sum((noise @ a.T) ** 2, axis=1) / np.sum((a @ x) ** 2)
    assert abs(drawn.mean() - closed[0]) < 5 * drawn.std() / 200
    assert 5 * drawn.std() / 200 < 0.05 * closed[0]
    assert closed[0] >= np.sum(a**2) / np.linalg.norm(a, 2) ** 2 * (1 - 1e-12)
