"""Prices are code lengths, they follow what is full and what is empty, and they come close to the coder's."""

import numpy as np
import pytest

from onnxbound.certificates.prices import LARGEST, prices
from onnxbound.codec.levels import code_signs, code_sizes
from onnxbound.codec.mixing import Writer


def structured(seed: int, empty: float) -> np.ndarray:
    """Levels of a convolution of which a share of the filters and of the channels is nearly empty."""
    random = np.random.Generator(np.random.Philox(seed))
    full = np.where(random.random((24, 1, 1, 1)) < empty, 0.1, 1.0) * np.where(
        random.random((1, 16, 1, 1)) < empty, 0.1, 1
    )
    occupied = random.random((24, 16, 3, 3)) < 0.6 * full
    return occupied * (random.geometric(0.6, occupied.shape)) * random.choice([-1, 1], occupied.shape)


def test_bits_are_code_lengths() -> None:
    """Of each entry zero and nonzero add up to one with the two signs, of each tensor the magnitudes."""
    found = prices([structured(1, 0.5), structured(2, 0.0)])
    np.testing.assert_allclose(2.0**-found.zero + 2 * 2.0**-found.nonzero, 1)
    np.testing.assert_allclose((2.0 ** -found.size[:, 1:]).sum(axis=1), 1)
    assert not found.size[:, 0].any()


@pytest.mark.parametrize("empty", [0.0, 0.5])
def test_close_to_the_coder(empty: float) -> None:
    """Within a tenth of the bytes that are written; without the densities it would be further away."""
    levels = structured(3, empty)
    writer = Writer()
    code_signs(writer, 0, levels.shape, code_sizes(writer, 0, levels.shape, np.abs(levels)), levels)
    written = len(writer.finish())
    found = prices([levels]).bits(levels.ravel(), np.zeros(levels.size, np.int64))
    assert found == pytest.approx(written, rel=0.1)


def test_what_is_full_is_dear_to_empty() -> None:
    levels = np.zeros((20, 20, 1, 1), np.int64)
    levels[:5] = 1
    found = prices([levels])
    zero = found.zero.reshape(20, 20)
    assert zero[:5].mean() > 3 > 0.5 > zero[5:].mean()
    assert found.bits(levels.ravel(), np.zeros(400, np.int64)) < 0.6 * 400 * 0.81 + 100


def test_a_large_level_has_the_price_of_the_largest() -> None:
    found = prices([np.full((3, 1, 1, 1), LARGEST + 5)])
    assert found.size[0].argmin() == 0
    assert found.size[0, 1:].argmin() == LARGEST - 1
