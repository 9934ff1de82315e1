"""Winograd's convolutions equal the definition's, and lose little to rounding."""

from itertools import product

import numpy as np
import pytest

from onnxbound.operators.conv import Conv
from onnxbound.operators.shape import Array
from onnxbound.operators.windows import Windows
from onnxbound.operators.winograd import Axis, Winograd


def direct(weight: Array, x: Array, pads: tuple[int, int, int, int]) -> Array:
    """By patches."""
    size = (x.shape[2], x.shape[3])
    found: Array = Conv(weight, None, None, Windows(size, (3, 3), (1, 1), (1, 1), pads[:2], pads[2:]), 1).linear(x)
    return found


@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 0, 0, 0), (2, 2, 2, 2), (1, 0, 0, 1), (0, 2, 1, 1)])
def test_every_length(pads: tuple[int, int, int, int]) -> None:
    """In float64, on maps of one to nine places, in several blocks of rows."""
    random = np.random.default_rng(0)
    weight = random.standard_normal((5, 4, 3, 3))
    lengths = [range(max(1, 3 - before - after), 10) for before, after in ((pads[0], pads[2]), (pads[1], pads[3]))]
    for high, wide in product(*lengths):
        x = random.standard_normal((131, 4, high, wide))
        wanted = direct(weight, x, pads)
        found = Winograd.of(weight, (high, wide), pads[:2], wanted.shape[2:]).apply(x)
        np.testing.assert_allclose(found, wanted, atol=1e-12 * np.abs(wanted).max())


def test_a_short_last_block() -> None:
    """Rows that do not fill the last block are as exact as the others."""
    random = np.random.default_rng(1)
    weight, x = random.standard_normal((64, 64, 3, 3)), random.standard_normal((19, 64, 16, 16))
    found = Winograd.of(weight, (16, 16), (1, 1), (16, 16)).apply(x)
    np.testing.assert_allclose(found, direct(weight, x, (1, 1, 1, 1)), atol=1e-11)


@pytest.mark.parametrize(("size", "products"), [(1, 1), (2, 3), (3, 5), (4, 6), (7, 12), (8, 12), (32, 48)])
def test_products(size: int, products: int) -> None:
    """Along one axis with a zero on each side: the fewest of the tiles that are at hand."""
    axis = Axis.of(size, 1, size)
    assert axis.tiles * len(axis.kernel) == products


@pytest.mark.parametrize(("size", "most"), [(2, 1.2e-6), (4, 3.5e-6), (8, 3.5e-6)])
def test_rounding(size: int, most: float) -> None:
    """In float32 with 512 channels, against float64: the root of the mean square, relative to the result's."""
    random = np.random.default_rng(2)
    weight = random.standard_normal((512, 512, 3, 3)).astype(np.float32)
    x = random.standard_normal((2, 512, size, size)).astype(np.float32)
    wanted = direct(weight.astype(np.float64), x.astype(np.float64), (1, 1, 1, 1))
    found = Winograd.of(weight, (size, size), (1, 1), (size, size)).apply(x)
    assert np.sqrt(((found - wanted) ** 2).mean() / (wanted**2).mean()) <= most
