"""Norms of float32 tensors in any memory layout are as good as float64 sums."""

import numpy as np
import pytest

from onnxbound.linear.row_norms import pixel_squared_norms, squared_norms

RANDOM = np.random.default_rng(2)
LAYOUTS = {
    "row-major": RANDOM.normal(size=(3, 2, 5, 37, 11)),
    "channels last": np.moveaxis(RANDOM.normal(size=(3, 2, 37, 11, 5)), -1, 2),
    "strided": RANDOM.normal(size=(3, 2, 5, 37, 22))[..., ::2],
    "a vector": RANDOM.normal(size=(3, 2, 1000)),
    "one entry": RANDOM.normal(size=(3, 2, 1)),
    "no streams": RANDOM.normal(size=(0, 2, 9)),
    "far from 1": RANDOM.normal(size=(3, 2, 5000)) * 1e-12,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("leading", [1, 2])
def test_squared_norms(layout: str, leading: int) -> None:
    values = LAYOUTS[layout].astype(np.float32)
    exact = (values.astype(np.float64) ** 2).sum(axis=tuple(range(leading, values.ndim)))
    found = squared_norms(values, leading)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    np.testing.assert_allclose(squared_norms(values.astype(np.float64), leading), exact, rtol=1e-14)


@pytest.mark.parametrize("axis", [1, -1])
def test_pixel_squared_norms(axis: int) -> None:
    cotangents = RANDOM.normal(size=(4, 2, 5, 6, 7))
    channel = {1: 2, -1: 4}[axis]
    exact = (cotangents**2).sum(axis=(0, channel)).reshape(2, -1)
    np.testing.assert_allclose(pixel_squared_norms(cotangents, axis), exact, rtol=1e-14)
