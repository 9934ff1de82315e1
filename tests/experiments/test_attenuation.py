"""Noise that dies out: nets where the answer is known, and a computation that shares no code."""

from pathlib import Path

import numpy as np
import pytest

from onnxbound.analysis.settings import Settings
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.errors import UsageError
from onnxbound.experiments.attenuation import Attenuation, attenuate
from onnxbound.graph.load import load
from tests.linear.test_measure import net
from tests.nets import mlp


def run(model: Path, folder: Path, settings: Settings, rows: np.ndarray) -> Attenuation:
    network = load(model)
    np.savez(folder / "rows.npz", x=rows.astype(np.float32), y=np.arange(len(rows)) % network.classes)
    return attenuate(network, open_rows(folder / "rows.npz", network, Preprocessing()), settings)


def medians(found: Attenuation) -> dict[tuple[int, int], float]:
    return {
        (curve.source, arrival.target): arrival.relative_error.median
        for curve in found.curves
        for arrival in curve.arrivals
        if arrival.relative_error is not None
    }


def test_rotations_keep_the_noise_they_are_given(tmp_path: Path) -> None:
    """Rotations without gates that cut: biases are 0 and inputs so large that no unit closes, so the error is r."""
    layers = [(np.eye(6)[[1, 2, 3, 4, 5, 0]], np.zeros(6)) for _ in range(3)]
    rows = 10 + np.random.default_rng(0).normal(size=(20, 6))
    found = run(mlp(tmp_path / "net.onnx", layers), tmp_path, Settings(noise_radius=0.01, probes=3), rows)
    values = medians(found)
    assert set(values) == {(i, j) for i in range(1, 4) for j in range(i, 4)}
    assert list(values.values()) == pytest.approx([0.01] * 6, rel=1e-4)


def test_a_projection_lets_the_share_through_that_it_must(tmp_path: Path) -> None:
    """One linear map onto k of 200 dimensions, along which the signal lies: the error is r sqrt(k / 200) on average."""
    first = np.zeros((50, 200))
    first[np.arange(50), np.arange(50)] = 1
    rows = np.zeros((30, 200))
    rows[:, :50] = 1 + np.random.default_rng(0).random((30, 50))
    model = mlp(tmp_path / "net.onnx", [(first, np.zeros(50)), (np.eye(50)[:5], np.zeros(5))])
    found = run(model, tmp_path, Settings(probes=20), rows)
    assert medians(found)[1, 1] == pytest.approx(0.1 * np.sqrt(50 / 200), rel=0.05)


def test_the_number_of_probes_does_not_change_what_is_estimated(tmp_path: Path) -> None:
    rows = np.random.default_rng(2).normal(size=(40, *load(net(tmp_path / "net.onnx", "residual").path).input_shape))
    model = net(tmp_path / "net.onnx", "residual").path
    few = run(model, tmp_path, Settings(probes=2), rows)
    many = run(model, tmp_path, Settings(probes=30), rows)
    for key, value in medians(many).items():
        assert medians(few)[key] == pytest.approx(value, rel=0.35)


def test_a_side_path_is_not_disturbed(tmp_path: Path) -> None:
    """Noise enters at one layer alone: what else reads the same tensor sees it clean, so both ways agree in NumPy."""
    case = net(tmp_path / "net.onnx", "residual")
    network = load(case.path)
    rows = np.random.default_rng(3).normal(size=(4, *network.input_shape))
    found = run(case.path, tmp_path, Settings(probes=1), rows)
    work = network.cast(np.float64)
    values = {network.input: rows.astype(np.float32).astype(np.float64)}
    for step in work.steps:
        values[step.output] = step.operator.act(*(values[name] for name in step.inputs))
    layer = work.layers[1]
    from onnxbound.rng import normal_noise

    g = normal_noise(0, (1 << 32) + 2, np.arange(4), 0, int(np.prod(layer.input_shape))).astype(np.float64)
    entering = values[layer.input]
    length = 0.1 * np.linalg.norm(entering.reshape(4, -1), axis=1) / np.linalg.norm(g, axis=1)
    noisy = dict(values)
    noisy[layer.output] = layer.operator.act(entering + (g * length[:, None]).reshape(entering.shape))
    behind = False
    for step in work.steps:
        if behind:
            noisy[step.output] = step.operator.act(*(noisy[name] for name in step.inputs))
        behind = behind or step.output == layer.output
    clean = values[network.output].reshape(4, -1)
    errors = np.linalg.norm(noisy[network.output].reshape(4, -1) - clean, axis=1) / np.linalg.norm(clean, axis=1)
    assert medians(found)[2, network.depth] == pytest.approx(float(np.median(errors)), rel=1e-4)


def test_noise_has_to_be_drawn(tmp_path: Path) -> None:
    model = mlp(tmp_path / "net.onnx", [(np.eye(3), np.zeros(3))])
    with pytest.raises(UsageError, match="`probes` must be a number"):
        run(model, tmp_path, Settings(probes="exact"), np.ones((4, 3)))
    with pytest.raises(UsageError, match='noise="gaussian"'):
        run(model, tmp_path, Settings(noise="compression"), np.ones((4, 3)))
