"""The gradient of a loss against differences of whole forward passes."""

from pathlib import Path

import numpy as np
import pytest

import onnxbound
from onnxbound.linear.curvature import parameters
from onnxbound.linear.gradient import gradient
from onnxbound.operators.operator import Array
from tests.linear.test_curvature import logits, residual_net, with_parameters
from tests.nets import random_mlp

ROWS = 40


@pytest.mark.parametrize("kind", ["dense", "residual"])
def test_against_differences(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the sum of weighted squares of the logits, along random directions, in parts or at once."""
    path = tmp_path / "net.onnx"
    path = random_mlp(path, (6, 8, 7, 4)) if kind == "dense" else residual_net(path)
    network = onnxbound.load(path).cast(np.float64)
    generator = np.random.Generator(np.random.Philox(4))
    rows = generator.normal(size=(ROWS, *network.input_shape))
    weight = generator.uniform(0.5, 2, (ROWS, 1))

    def slopes(found: Array, where: slice) -> Array:
        return 2 * weight[where] * found

    monkeypatch.setattr("onnxbound.linear.gradient.part_rows", lambda _: 7)
    found = gradient(network.cast(np.float32), rows.astype(np.float32), slopes, 2)
    at = parameters(network)
    assert found.shape == at.shape
    for _ in range(4):
        direction = generator.normal(size=at.size)
        h = 1e-6
        up, down = (
            (weight * logits(with_parameters(network, at + sign * h * direction), rows) ** 2).sum() for sign in (1, -1)
        )
        assert found @ direction == pytest.approx((up - down) / (2 * h), rel=1e-3, abs=1e-3 * np.abs(found).sum())
    monkeypatch.setattr("onnxbound.linear.gradient.part_rows", lambda _: ROWS)
    whole = gradient(network.cast(np.float32), rows.astype(np.float32), slopes)
    np.testing.assert_allclose(whole, found, rtol=1e-3, atol=1e-4 * np.abs(found).max())
