"""The oracle against its stored arrays, and against numerical differentiation with ONNX's reference evaluator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

torch = pytest.importorskip("torch", reason="PyTorch is not installed", exc_type=ImportError)

from onnxbound.rng import normal_noise  # noqa: E402
from tests.oracle.models import fixtures, stored  # noqa: E402
from tests.oracle.oracle import measure  # noqa: E402
from tests.oracle.torch_net import load  # noqa: E402

Array = NDArray[np.float64]
LAYERS = ("x1", "x2", "x3", "x4")
PATHS = {(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)}
POSITIONS = (36, 9, 9, 1)
RADIUS, PROBES, SEED = 0.1, 2, 5


@pytest.mark.parametrize(("name", "rows"), [("mnist_mlp", 8), ("cifar10_alexnet", 2), ("cifar10_resnet", 1)])
def test_stored_arrays_are_what_is_computed_now(name: str, rows: int) -> None:
    (model,) = (model for model in fixtures() if model.name == name)
    expected = stored(name)
    x, labels = model.rows(expected["index"][:rows])
    found = measure(load(model.path), torch.from_numpy(x).double(), labels, expected["index"][:rows])
    assert found.keys() == expected.keys()
    for key, values in found.items():
        per_row = key not in {"frobenius_norm", "positions", "seed", "radius", "probes"}
        reference = expected[key][:rows] if per_row else expected[key]
        np.testing.assert_allclose(values, reference, rtol=1e-9, atol=1e-12, err_msg=key)


@dataclass(frozen=True)
class Residual:
    """A tiny net with a 1x1 shortcut, and the same net with an offset added to every x^i."""

    path: Path
    offset: ReferenceEvaluator
    weights: dict[str, Array]
    x: Array

    def run(self, *, layer: int | None = None, offset: Array | None = None) -> dict[str, Array]:
        """All named tensors, x^i first, at x with `offset` (n, ...) added to the output of a layer."""
        shapes = [(3, 6, 6), (3, 3, 3), (3, 3, 3), (4,)]
        feeds = {f"d{i + 1}": np.zeros((len(self.x), *shape)) for i, shape in enumerate(shapes)}
        if layer is not None:
            feeds[f"d{layer + 1}"] = offset
        return dict(zip(self.offset.output_names, self.offset.run(None, {"x": self.x, **feeds}), strict=True))


def _nodes(*, with_offsets: bool) -> list[onnx.NodeProto]:
    raw = [f"raw{i}" for i in (1, 2, 3, 4)] if with_offsets else list(LAYERS)
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["c1", "scale", "shift", "mean", "var"], [raw[0]], epsilon=2**-10),
        helper.make_node("Relu", ["x1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["a2"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Conv", ["a2", "w2", "b2"], [raw[1]], pads=[1] * 4),
        helper.make_node("Conv", ["a2", "w3"], [raw[2]]),
        helper.make_node("Add", ["x2", "x3"], ["z"]),
        helper.make_node("Relu", ["z"], ["r2"]),
        helper.make_node("AveragePool", ["r2"], ["p"], kernel_shape=[2, 2], pads=[1] * 4, count_include_pad=0),
        helper.make_node("Flatten", ["p"], ["a4"]),
        helper.make_node("Gemm", ["a4", "w4", "b4"], [raw[3]], transB=1),
    ]
    if not with_offsets:
        return nodes
    made = [helper.make_node("Add", [f"raw{i}", f"d{i}"], [f"x{i}"]) for i in (1, 2, 3, 4)]
    return [*nodes[:2], made[0], *nodes[2:5], made[1], nodes[5], made[2], *nodes[6:], made[3]]


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Residual:
    random = np.random.default_rng(3)
    shapes = {"w1": (3, 2, 3, 3), "w2": (3, 3, 3, 3), "w3": (3, 3, 1, 1), "w4": (4, 48), "b2": (3,), "b4": (4,)}
    shapes |= dict.fromkeys(("scale", "shift", "mean", "var"), (3,))
    weights = {name: random.normal(size=shape) for name, shape in shapes.items()}
    weights["var"] = weights["var"] ** 2 + 0.5
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]

    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.DOUBLE, None)

    # Below 14 the reference evaluator normalises with the batch's own statistics.
    opset = [helper.make_opsetid("", 15)]
    plain = helper.make_graph(_nodes(with_offsets=False), "plain", [value("x")], [value("x4")], initializers)
    path = tmp_path_factory.mktemp("oracle") / "residual.onnx"
    onnx.save(helper.make_model(plain, opset_imports=opset), path)
    inputs = [value(name) for name in ("x", "d1", "d2", "d3", "d4")]
    outputs = [value(name) for name in (*LAYERS, "a2", "a4", "z", "r1", "r2")]
    shifted = helper.make_graph(_nodes(with_offsets=True), "offset", inputs, outputs, initializers)
    offset = ReferenceEvaluator(helper.make_model(shifted, opset_imports=opset))
    return Residual(path, offset, weights, random.normal(size=(3, 2, 6, 6)))


@pytest.fixture(scope="module")
def measured(residual: Residual) -> dict[str, NDArray[Any]]:
    index, labels = np.array([4, 7, 9]), np.array([0, 3, 1])
    x = torch.from_numpy(residual.x)
    return measure(load(residual.path), x, labels, index, seed=SEED, radius=RADIUS, probes=PROBES)


@pytest.fixture(scope="module")
def dense(residual: Residual) -> dict[tuple[int, int], Array]:
    """J^{i,j} (n, size of x^j, *shape of x^i) by central differences: exact on a piecewise linear net."""
    at = residual.run()
    jacobians = {}
    for i, source in enumerate(LAYERS):
        shape = at[source].shape[1:]
        columns: dict[int, list[Array]] = {j: [] for j in range(i + 1, 4)}
        for unit in range(int(np.prod(shape))):
            step = np.zeros((3, int(np.prod(shape))))
            step[:, unit] = 1e-6
            up, down = (residual.run(layer=i, offset=sign * step.reshape(3, *shape)) for sign in (1, -1))
            for j, column in columns.items():
                column.append((up[LAYERS[j]] - down[LAYERS[j]]).reshape(3, -1) / 2e-6)
        for j, column in columns.items():
            jacobians[i, j] = np.stack(column, axis=2).reshape(3, -1, *shape)
    return jacobians


def _norm(x: Array) -> Array:
    return np.sqrt(np.square(x.reshape(len(x), -1)).sum(axis=1))


def test_pairs_without_a_path_are_undefined(
    measured: dict[str, NDArray[Any]], dense: dict[tuple[int, int], Array]
) -> None:
    assert np.all(dense[1, 2] == 0)
    for key in ("jacobian_norm", "interlayer_cushion_affine", "smoothness_inverse_linear"):
        found = {(i, j) for i in range(4) for j in range(4) if np.isfinite(measured[key][:, i, j]).all()}
        assert found == PATHS
        assert np.isnan(measured[key]).sum() == 3 * (16 - len(PATHS))


def test_jacobian_norms_cushions_and_beta_are_those_of_finite_differences(
    residual: Residual, measured: dict[str, NDArray[Any]], dense: dict[tuple[int, int], Array]
) -> None:
    at = residual.run()
    for i, j in PATHS:
        jacobian, source, target = dense[i, j], at[LAYERS[i]], at[LAYERS[j]]
        norm = _norm(jacobian)
        np.testing.assert_allclose(measured["jacobian_norm"][:, i, j], norm, rtol=1e-7)
        scale = np.sqrt(POSITIONS[i]) / (norm * _norm(source))
        np.testing.assert_allclose(measured["interlayer_cushion_affine"][:, i, j], scale * _norm(target), rtol=1e-7)
        along = np.einsum("nou,nu->no", jacobian.reshape(*jacobian.shape[:2], -1), source.reshape(3, -1))
        np.testing.assert_allclose(measured["interlayer_cushion_linear"][:, i, j], scale * _norm(along), rtol=1e-7)
    for i in range(3):
        per_pixel = np.square(dense[i, 3]).sum(axis=(1, 2))
        expected = np.sqrt(POSITIONS[i] * per_pixel.max(axis=(1, 2))) / _norm(dense[i, 3])
        np.testing.assert_allclose(measured["beta"][:, i], expected, rtol=1e-7)
    assert np.all(measured["beta"][:, 3] == 1)


def test_smoothness_is_the_worst_probe_of_the_perturbed_net(
    residual: Residual, measured: dict[str, NDArray[Any]], dense: dict[tuple[int, int], Array]
) -> None:
    at = residual.run()
    index = measured["index"]
    for i, j in PATHS:
        source, target = at[LAYERS[i]].reshape(3, -1), at[LAYERS[j]].reshape(3, -1)
        jacobian = dense[i, j].reshape(3, target.shape[1], -1)
        worst = {"affine": np.zeros(3), "linear": np.zeros(3)}
        for probe in range(PROBES):
            g = normal_noise(SEED, i + 1, index, probe, source.shape[1]).astype(np.float64)
            eta = RADIUS * g * (_norm(source) / _norm(g))[:, None]
            moved = residual.run(layer=i, offset=eta.reshape(at[LAYERS[i]].shape))[LAYERS[j]].reshape(3, -1)
            first_order = np.einsum("nou,nu->no", jacobian, eta)
            along = np.einsum("nou,nu->no", jacobian, source)
            residuals = {"affine": moved - target - first_order, "linear": moved - along - first_order}
            for form, rest in residuals.items():
                inverse = _norm(source) * _norm(rest) / (_norm(eta) * _norm(target))
                worst[form] = np.maximum(worst[form], inverse)
        for form, expected in worst.items():
            np.testing.assert_allclose(
                measured[f"smoothness_inverse_{form}"][:, i, j], expected, rtol=1e-6, atol=1e-7, err_msg=f"{i}{j}{form}"
            )


def test_cushions_contractions_and_margin_are_those_of_the_reference_tensors(
    residual: Residual, measured: dict[str, NDArray[Any]]
) -> None:
    at, w = residual.run(), residual.weights
    folded = w["w1"] * (w["scale"] / np.sqrt(w["var"] + 2**-10))[:, None, None, None]
    shift = w["shift"] - w["scale"] * w["mean"] / np.sqrt(w["var"] + 2**-10)
    entering = (residual.x, at["a2"], at["a2"], at["a4"])
    biases = (shift[:, None, None], w["b2"][:, None, None], np.zeros(1), w["b4"])
    for i, weight in enumerate((folded, w["w2"], w["w3"], w["w4"])):
        scale = 1 / (np.linalg.norm(weight) * _norm(entering[i]))
        leaving = at[LAYERS[i]]
        np.testing.assert_allclose(measured["layer_cushion_affine"][:, i], scale * _norm(leaving), rtol=1e-12)
        expected = scale * _norm(leaving - biases[i])
        np.testing.assert_allclose(measured["layer_cushion_linear"][:, i], expected, rtol=1e-12)
    gates = [_norm(at["x1"]) / _norm(at["r1"]), *[_norm(at["z"]) / _norm(at["r2"])] * 2, np.full(3, np.nan)]
    np.testing.assert_allclose(measured["contraction"], np.stack(gates, axis=1), rtol=1e-12)
    # A pixel is in at most 2 x 2 windows of the max-pooling; a corner's shares of the averages add up to (1 + 1/2)^2.
    pooled = 2 * _norm(at["x1"]) / _norm(at["a2"])
    averaged = 1.5 * (_norm(at["x2"]) + _norm(at["x3"])) / _norm(at["a4"])
    expected = np.stack([pooled, averaged, averaged, np.full(3, np.nan)], axis=1)
    np.testing.assert_allclose(measured["between_contraction"], expected, rtol=1e-12)
    logits = at["x4"]
    margins = [logits[r, y] - max(logits[r, k] for k in range(4) if k != y) for r, y in enumerate((0, 3, 1))]
    np.testing.assert_allclose(measured["margin"], margins, rtol=1e-12)
