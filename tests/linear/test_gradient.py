"""The gradient of the cross-entropy against differences of whole forward passes."""

from pathlib import Path

import numpy as np
import pytest

import onnxbound
from onnxbound.linear.gradient import CrossEntropy, parameters
from onnxbound.run.device import CPU
from tests.linear.test_curvature import logits, residual_net, with_parameters
from tests.nets import random_mlp

ROWS, TEMPERATURE = 150, 0.7


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("kind", ["dense", "residual"])
def test_against_differences(kind: str, views: int, tmp_path: Path) -> None:
    """Along random directions, at the parameters that the session was made with and at others; seen backwards too."""
    path = tmp_path / "net.onnx"
    path = random_mlp(path, (6, 8, 7, 4)) if kind == "dense" else residual_net(path)
    network = onnxbound.load(path).cast(np.float64)
    generator = np.random.Generator(np.random.Philox(4))
    rows = generator.normal(size=(ROWS, *network.input_shape))
    wanted = generator.dirichlet(np.ones(network.classes), ROWS)
    loss = CrossEntropy(with_parameters(network, parameters(network)).cast(np.float32), CPU, 1, views)
    seen = [rows, rows[..., ::-1]][:views]

    def mean(at: np.ndarray) -> float:
        moved = with_parameters(network, at)
        z = np.mean([logits(moved, view) for view in seen], axis=0) / TEMPERATURE
        return float((np.log(np.exp(z).sum(axis=1)) - np.vecdot(z, wanted)).mean())

    for at in (parameters(network), parameters(network) + generator.normal(size=parameters(network).size) / 10):
        moved = with_parameters(network, at).cast(np.float32)
        found = loss.gradient(moved, [view.astype(np.float32) for view in seen], wanted, TEMPERATURE)
        assert found.shape == at.shape
        for _ in range(4):
            direction = generator.normal(size=at.size)
            h = 1e-6
            difference = (mean(at + h * direction) - mean(at - h * direction)) / (2 * h)
            assert found @ direction == pytest.approx(difference, rel=1e-3, abs=1e-5 * np.abs(found).sum())


def test_threads_change_no_bit(tmp_path: Path) -> None:
    network = onnxbound.load(residual_net(tmp_path / "net.onnx")).cast(np.float32)
    generator = np.random.Generator(np.random.Philox(5))
    rows = generator.normal(size=(ROWS, *network.input_shape)).astype(np.float32)
    wanted = np.eye(network.classes)[generator.integers(0, network.classes, ROWS)]
    one, two = (CrossEntropy(network, CPU, threads).gradient(network, [rows], wanted, 1.0) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)
