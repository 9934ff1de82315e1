"""Norms of weights, and the three spectral norms of a convolution against its dense matrix."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxbound.bounds.norms import conv_upper, layer_norms, lower_estimate, overlap
from onnxbound.bounds.spectral import spectral_norm, spectral_upper, torus_upper
from onnxbound.graph.layer import Layer
from onnxbound.graph.load import load
from tests.bounds.nets import W1, two_layers
from tests.nets import write_model


def conv_layer(folder: Path, kernel: np.ndarray, shape: tuple[int, ...], **attributes: Any) -> Layer:
    """The layer of a net that has no other."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], **attributes),
        helper.make_node("Flatten", ["c"], ["logits"]),
    ]
    constants = {"k": kernel.astype(np.float32)}
    return load(write_model(folder / "net.onnx", nodes, constants, ["N", *shape])).layers[0]


def dense(layer: Layer) -> np.ndarray:
    """The layer's linear map, (outputs, inputs), column by column."""
    units = np.eye(int(np.prod(layer.input_shape))).reshape(-1, *layer.input_shape)
    return layer.operator.cast(np.float64).linear(units).reshape(len(units), -1).T


def test_norms_of_a_dense_layer(tmp_path: Path) -> None:
    norms = layer_norms(two_layers(tmp_path).layers[0])
    spectral = np.linalg.svd(W1, compute_uv=False)[0]
    assert norms.frobenius == pytest.approx(np.sqrt(9 + 16 + 4 + 1 + 1), rel=1e-14)
    assert norms.l1_inf == 7
    assert norms.l12 == pytest.approx(5 + 2 + np.sqrt(2), rel=1e-14)
    assert norms.spectral.kernel_matrix == norms.spectral.estimate == pytest.approx(spectral, rel=1e-14)
    assert spectral <= norms.spectral.upper.value <= spectral * (1 + 1e-12)
    assert norms.stable_rank == pytest.approx(31 / spectral**2, rel=1e-13)


def test_effective_weight_with_folded_scale_counts(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Mul", ["y", "s"], ["logits"])]
    constants = {"w": W1.T.astype(np.float32), "s": np.float32([2, 3, -1])}
    (layer,) = load(write_model(tmp_path / "net.onnx", nodes, constants, ["N", 2])).layers
    assert layer_norms(layer).frobenius == pytest.approx(np.linalg.norm(W1 * np.array([[2], [3], [-1]])), rel=1e-14)


CONVOLUTIONS = [
    pytest.param((3, 2, 3, 3), (2, 8, 8), {"pads": [1] * 4}, id="same"),
    pytest.param((3, 2, 3, 3), (2, 8, 8), {}, id="valid"),
    pytest.param((4, 3, 1, 1), (3, 5, 5), {}, id="1x1"),
    pytest.param((3, 2, 3, 3), (2, 9, 9), {"strides": [2, 2], "pads": [1] * 4}, id="strided"),
    pytest.param((3, 2, 2, 2), (2, 9, 9), {"strides": [3, 3]}, id="stride beyond the kernel"),
    pytest.param((3, 2, 3, 3), (2, 9, 9), {"dilations": [2, 2]}, id="dilated"),
    pytest.param((3, 2, 3, 3), (2, 9, 9), {"dilations": [2, 3], "strides": [4, 3], "pads": [2] * 4}, id="both"),
    pytest.param((4, 1, 3, 3), (2, 6, 6), {"group": 2, "pads": [1] * 4}, id="grouped"),
    pytest.param((6, 1, 3, 3), (6, 6, 6), {"group": 6}, id="depthwise"),
    pytest.param((3, 2, 5), (2, 40), {"pads": [2, 2]}, id="1-d"),
    pytest.param((2, 2, 2, 2, 2), (2, 4, 4, 4), {"pads": [1] * 6}, id="3-d"),
    pytest.param((3, 2, 3, 3), (2, 1, 1), {"pads": [1] * 4}, id="kernel larger than the input"),
]


@pytest.mark.parametrize(("kernel", "shape", "attributes"), CONVOLUTIONS)
@pytest.mark.parametrize("sign", ["normal", "positive"])
def test_upper_bound_and_estimate_enclose_the_norm_of_the_map(
    tmp_path: Path, kernel: tuple[int, ...], shape: tuple[int, ...], attributes: dict[str, Any], sign: str
) -> None:
    weight = np.random.default_rng(1).normal(size=kernel)
    layer = conv_layer(tmp_path, np.abs(weight) if sign == "positive" else weight, shape, **attributes)
    true = float(np.linalg.norm(dense(layer), 2))
    norms = layer_norms(layer).spectral
    assert norms.upper.value >= true
    assert norms.estimate <= true * (1 + 1e-6)
    assert norms.estimate >= 0.999 * true
    if "group" not in attributes:
        assert norms.upper.value <= true * (1 + 1e-8)
    assert lower_estimate(layer, layer.operator) == pytest.approx(true, rel=1e-3)
    by_windows = conv_upper(layer, layer.operator).value
    assert true <= by_windows <= norms.kernel_matrix * np.prod(kernel[2:]) ** 0.5 * (1 + 1e-9)
    torus = torus_upper(layer.operator)
    assert torus is not None
    assert torus >= true * (1 - 1e-12)


def test_the_estimate_of_weights_whose_squares_leave_float32(tmp_path: Path) -> None:
    weight = np.random.default_rng(1).normal(size=(3, 2, 3, 3))
    of, of_large = (layer_norms(conv_layer(tmp_path, weight * unit, (2, 8, 8))).spectral for unit in (1.0, 2.0**100))
    assert of_large.estimate == pytest.approx(of.estimate * 2.0**100, rel=1e-4)


def test_without_strides_the_torus_is_nearly_the_truth_on_large_inputs(tmp_path: Path) -> None:
    weight = np.random.default_rng(1).normal(size=(3, 2, 3, 3))
    for attributes in ({"pads": [1] * 4}, {"pads": [1] * 4, "dilations": [1, 2]}):
        layer = conv_layer(tmp_path, weight, (2, 20, 20), **attributes)
        true = float(np.linalg.norm(dense(layer), 2))
        assert true <= conv_upper(layer, layer.operator).value <= 1.05 * true


def test_random_convolutions_are_bounded(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    for _ in range(60):
        size, k, s, d = (int(n) for n in random.integers(1, [12, 5, 4, 4]))
        pad, groups = int(random.integers(0, 4)), int(random.integers(1, 3))
        if size + 2 * pad < d * (k - 1) + 1:
            continue
        weight = random.normal(size=(4, 3, k)) * 10.0 ** random.integers(-8, 8)
        layer = conv_layer(
            tmp_path, weight, (3 * groups, size), strides=[s], dilations=[d], pads=[pad, pad], group=groups
        )
        true = float(np.linalg.norm(dense(layer), 2))
        torus = torus_upper(layer.operator)
        assert torus is not None
        assert true * (1 - 1e-12) <= torus
        assert true * (1 - 1e-12) <= layer_norms(layer).spectral.upper.value
        assert true * (1 - 1e-12) <= conv_upper(layer, layer.operator).value


def test_the_kernel_matrix_is_too_small_on_large_inputs_and_too_large_on_small_ones(tmp_path: Path) -> None:
    ones = np.array([1.0, 0.0]).reshape(2, 1, 1, 1) * np.ones((2, 1, 3, 3))
    large = conv_layer(tmp_path, ones, (1, 30, 30), pads=[1] * 4)
    norms, true = layer_norms(large).spectral, float(np.linalg.norm(dense(large), 2))
    assert norms.kernel_matrix == pytest.approx(3)
    assert true > 8.9
    assert true <= norms.upper.value == pytest.approx(true)
    assert conv_upper(large, large.operator).value == pytest.approx(9)
    small = conv_layer(tmp_path, ones, (1, 1, 1), pads=[1] * 4)
    of_small = layer_norms(small).spectral
    assert float(np.linalg.norm(dense(small), 2)) == 1 < of_small.kernel_matrix
    assert 1 <= of_small.upper.value < 1 + 1e-6


@pytest.mark.parametrize("size", [60, 9, 6])
def test_overlap_is_the_most_windows_an_entry_is_in(tmp_path: Path, size: int) -> None:
    """Exact on long inputs, and where all windows share an entry; never too small."""
    random = np.random.default_rng(0)
    for _ in range(60):
        k, s, d, pad = (int(n) for n in random.integers(1, [7, 5, 5, 4]))
        if d * (k - 1) + 1 > size + 2 * pad or (pad > 1 and size == 60):
            continue
        layer = conv_layer(tmp_path, np.ones((1, 1, k)), (1, size), strides=[s], dilations=[d], pads=[pad, pad])
        counts = (dense(layer) != 0).sum(axis=0)
        assert overlap(layer) ** 2 >= counts.max() - 1e-9
        if size == 60 or layer.positions == 1:
            assert overlap(layer) ** 2 == pytest.approx(counts.max())


def test_a_kernel_as_large_as_its_input_has_the_norm_of_its_matrix(tmp_path: Path) -> None:
    weight = np.random.default_rng(3).normal(size=(4, 3, 5, 5))
    layer = conv_layer(tmp_path, weight, (3, 5, 5))
    true = float(np.linalg.norm(weight.reshape(4, -1), 2))
    upper = layer_norms(layer).spectral.upper.value
    assert true <= upper < true * (1 + 1e-6)
    wide = conv_layer(tmp_path, weight, (3, 5, 6), pads=[0, 1, 0, 0])
    own = layer_norms(wide).spectral.upper.value
    assert float(np.linalg.norm(dense(wide), 2)) <= own <= true * sqrt(3) * (1 + 1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-160, 1e150])
@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (40, 3), (3, 40), (120, 100)])
def test_spectral_norm_and_its_upper_bound(shape: tuple[int, int], scale: float) -> None:
    random = np.random.default_rng(2)
    low_rank = np.outer(random.normal(size=shape[0]), random.normal(size=shape[1]))
    for matrix in (random.normal(size=shape) * scale, low_rank * scale):
        true = float(np.linalg.svd(matrix / scale, compute_uv=False)[0]) * scale
        assert spectral_norm(matrix) == pytest.approx(true, rel=1e-12)
        assert true * (1 - 1e-14) <= spectral_upper(matrix)
        if scale == 1:
            assert spectral_upper(matrix) <= true * (1 + 1e-10)
        assert spectral_upper(matrix, 0.5 * scale) >= true + 0.5 * scale


def test_equal_singular_values() -> None:
    """Nothing to gain by Lanczos, and the Cholesky factor is zero in exact arithmetic."""
    for n in (5, 300):
        orthogonal = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0] * 3
        assert spectral_norm(orthogonal) == pytest.approx(3, rel=1e-12)
        assert 3 * (1 - 1e-14) <= spectral_upper(orthogonal) <= 3 * (1 + 1e-8)


def test_a_large_matrix_agrees_with_its_singular_values() -> None:
    matrix = np.random.default_rng(0).normal(size=(700, 900))
    true = float(np.linalg.svd(matrix, compute_uv=False)[0])
    assert spectral_norm(matrix) == pytest.approx(true, rel=1e-12)
    assert true <= spectral_upper(matrix) <= true * (1 + 1e-8)


def test_a_zero_weight(tmp_path: Path) -> None:
    norms = layer_norms(conv_layer(tmp_path, np.zeros((2, 1, 2, 2)), (1, 4, 4)))
    assert norms.stable_rank is None
    assert norms.spectral.kernel_matrix == norms.spectral.estimate == 0
    assert 0 <= norms.spectral.upper.value < 1e-300
