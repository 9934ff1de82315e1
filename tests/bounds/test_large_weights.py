"""Norms of weights too large to be held in float64: of slices and bands, with few bytes."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from onnxbound.bounds import neyshabur2017, norms, spectral
from onnxbound.bounds.norms import layer_norms
from onnxbound.graph.load import load
from onnxbound.operators import weighted
from tests.nets import mlp

RANDOM = np.random.default_rng(0)
SHAPES = [(120, 100), (100, 120), (41, 200)]


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (spectral, norms):
        monkeypatch.setattr(module, "LARGEST_GRAM", 40)
    monkeypatch.setattr(weighted, "_BAND_BYTES", 8 * 700)
    monkeypatch.setattr(spectral, "_STRIP", 16)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_slices_bound_the_norm(shape: tuple[int, int], *, scaled: bool) -> None:
    for unit in (1.0, 1e-30, 1e30):
        matrix = (RANDOM.normal(size=shape) * unit).astype(np.float32)
        factors = RANDOM.normal(size=shape[0]) if scaled else None
        whole = matrix.astype(np.float64) * (1 if factors is None else factors[:, None])
        true = float(np.linalg.norm(whole / unit, 2)) * unit
        slices = -(-min(shape) // 40)
        found, upper = spectral.spectral_norm_and_upper(matrix, factors=factors)
        assert found == pytest.approx(true, rel=2e-5)
        assert true <= upper <= true * slices**0.5


def test_bands_and_slices_change_no_norm_but_the_bound(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    weights = [(RANDOM.normal(size=(70, 90)), None), (RANDOM.normal(size=(3, 70)), None)]
    layer = load(mlp(tmp_path / "net.onnx", weights)).layers[0]
    whole = layer_norms(layer)
    request.getfixturevalue("small_limits")
    parts = layer_norms(layer)
    for name in ("frobenius", "l1_inf", "l12"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-14)
    assert parts.spectral.kernel_matrix == pytest.approx(whole.spectral.kernel_matrix, rel=2e-5)
    assert whole.spectral.upper.value < parts.spectral.upper.value < 2**0.5 * whole.spectral.upper.value
    assert "slices" in parts.spectral.upper.reason


@pytest.mark.usefixtures("small_limits")
def test_rounding_in_bands_keeps_within_what_it_says(tmp_path: Path) -> None:
    layer = load(mlp(tmp_path / "net.onnx", [(RANDOM.normal(size=(60, 50)), None)])).layers[0]
    matrix = layer.operator.effective_weight()
    for allowed in (1e-6, 0.01, 1.0):
        code = neyshabur2017._rounded_in_bands(layer.operator, allowed)
        change = matrix - neyshabur2017._on_grid(matrix, 2 * allowed / matrix.size**0.5)[0]
        assert np.linalg.norm(change, 2) <= np.linalg.norm(change) <= code.error <= allowed
        assert code.bits == neyshabur2017._rounded(matrix, allowed).bits


def test_norms_of_a_large_weight_take_a_share_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (spectral, norms):
        monkeypatch.setattr(module, "LARGEST_GRAM", 512)
    monkeypatch.setattr(weighted, "_BAND_BYTES", 1 << 20)
    monkeypatch.setattr(neyshabur2017, "_LARGE", 1 << 20)
    weight = np.random.default_rng(0).standard_normal((1536, 1536), np.float32)
    layer = load(mlp(tmp_path / "net.onnx", [(weight, None)])).layers[0]
    tracemalloc.start()
    try:
        found = layer_norms(layer)
        neyshabur2017._describe(layer, found.spectral.kernel_matrix, 0.1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.8 * weight.nbytes
