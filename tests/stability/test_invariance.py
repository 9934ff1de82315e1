"""Re-balancing the layers of a ReLU net changes neither the function nor any property."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from onnxbound.graph.load import load
from onnxbound.linear.measure import measure
from onnxbound.linear.programme import Form, Programme
from onnxbound.results import Float64Array
from tests.nets import Weights, mlp
from tests.stability.properties import arrays_of

SIZES = [7, 9, 6, 5, 4]


def properties_of(path: Path, form: Form) -> dict[str, Float64Array]:
    network = load(path).cast(np.float64)
    programme = Programme(form, 3, exact_pairs=True, exact_output=True, radius=0.3, output_only=False, seed=1)
    x = np.random.default_rng(5).normal(size=(12, SIZES[0]))
    measurement = measure(network, programme, np.arange(12), x)
    return arrays_of(network, measurement, programme)


@pytest.mark.parametrize("form", ["affine", "linear"])
def test_properties_are_invariant_under_rebalancing(tmp_path: Path, form: Form) -> None:
    """Layer i times t_i, a power of 2, with biases times t_1...t_i: the net times prod t, every property the same."""
    random = np.random.default_rng(2)
    factors = [4.0, 0.125, 2.0, 0.5]
    plain: Weights = [(random.normal(size=(o, i)), random.normal(size=o)) for i, o in itertools.pairwise(SIZES)]
    scaled: Weights = [
        (w * t, b * np.prod(factors[: k + 1])) for k, ((w, b), t) in enumerate(zip(plain, factors, strict=True))
    ]
    before, after = (
        properties_of(mlp(tmp_path / f"{name}.onnx", weights), form)
        for name, weights in (("plain", plain), ("scaled", scaled))
    )
    for field in ("layer_cushion", "contraction", "between_contraction", "noise_sensitivity"):
        np.testing.assert_allclose(after[field], before[field], rtol=1e-12)
    for field in ("interlayer_cushion", "smoothness_inverse", "beta"):
        np.testing.assert_allclose(after[field], before[field], rtol=1e-12, atol=1e-14)
    assert np.nanmedian(before["interlayer_cushion"]) > 0.1
    assert np.nanmax(before["smoothness_inverse"]) > 0
    assert not np.allclose(after["jacobian_norm"], before["jacobian_norm"], equal_nan=True)


def test_the_last_layers_scale_changes_no_property(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    plain: Weights = [(random.normal(size=(o, i)), random.normal(size=o)) for i, o in itertools.pairwise(SIZES)]
    scaled: Weights = [*plain[:-1], (plain[-1][0] * 8, plain[-1][1] * 8)]
    before, after = (properties_of(mlp(tmp_path / "net.onnx", weights), "affine") for weights in (plain, scaled))
    np.testing.assert_allclose(after["interlayer_cushion"], before["interlayer_cushion"], rtol=1e-12)
    np.testing.assert_allclose(after["layer_cushion"], before["layer_cushion"], rtol=1e-12)
