"""Rounding to a grid: values of onnxruntime to the last bit, and the straight-through slope."""

from itertools import product
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fixtures.quantised import as_written
from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.emitter import Emitter
from onnxbound.operators.quantisation import SaturatingRounding, dequantised, quantised
from onnxbound.run.device import CPU
from onnxbound.run.logits import Logits
from tests.nets import model_of

RANDOM = np.random.default_rng(5)
WEIGHT = RANDOM.normal(size=(6, 3)).astype(np.float32)
GRIDS = [
    (np.float32(scale), np.array(zero, kind))
    for scale, (zero, kind) in product(
        (0.1, 2.0**-5),
        ((0, np.uint8), (17, np.uint8), (255, np.uint8), (0, np.int8), (-128, np.int8), (900, np.uint16)),
    )
]
X = np.concatenate(
    [
        RANDOM.normal(size=(20, 6)) * 8,
        RANDOM.integers(-300, 300, size=(20, 6)) * 2.0**-6,  # halves of a step
        RANDOM.integers(-300, 300, size=(20, 6)) * np.float32(0.1),  # points of the grid
    ]
).astype(np.float32)


def pair(scale: NDArray[np.float32], zero_point: NDArray[np.generic]) -> onnx.ModelProto:
    """x -> QuantizeLinear -> DequantizeLinear -> MatMul."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["logits"]),
    ]
    return model_of(nodes, {"s": scale, "z": zero_point, "w": WEIGHT}, ["N", 6], opset=21)


def saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def logits(network: Network, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return linearise(network.cast(np.float32), x, {network.output}).values[network.output]


@pytest.mark.parametrize(("scale", "zero_point"), GRIDS)
def test_values_are_those_of_onnxruntime(tmp_path: Path, scale: np.float32, zero_point: NDArray[np.generic]) -> None:
    path = saved(tmp_path / "net.onnx", pair(np.asarray(scale), zero_point))
    network = load(path)
    (step,) = (step for step in network.steps if isinstance(step.operator, SaturatingRounding))
    alone = pair(np.asarray(scale), zero_point)
    del alone.graph.node[2]
    alone.graph.output[0].name = "h"
    runtime = as_written(saved(tmp_path / "pair.onnx", alone), X)
    values = step.operator.act(X)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, runtime)
    np.testing.assert_allclose(logits(network, X), as_written(path, X), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(step.operator.act(values), values)


@pytest.mark.parametrize(("scale", "zero_point"), GRIDS)
def test_the_slope_is_that_of_the_clip(scale: np.float32, zero_point: NDArray[np.generic]) -> None:
    limits = np.iinfo(zero_point.dtype)
    low, high = (float(scale) * (int(end) - int(zero_point)) for end in (limits.min, limits.max))
    gate = SaturatingRounding(
        float(scale), int(limits.min - zero_point.astype(int)), int(limits.max - zero_point.astype(int))
    )
    x = X.astype(np.float64)
    inside = (x > low) & (x < high)
    np.testing.assert_array_equal(gate.slope(x), inside)
    # Rounding moves a value by half a step at most, so that this is the slope of the function seen from afar.
    assert np.abs(gate.act(x) - np.clip(x, low, high)).max() <= float(scale) / 2 * (1 + 1e-9)
    t, c = RANDOM.normal(size=(2, 3, *x.shape))
    assert np.vdot(gate.jvp(gate.linearise(x), t), c) == pytest.approx(np.vdot(t, *gate.vjp(gate.linearise(x), c)))
    w = 0.3 * c
    expected = gate.act(x + t + w) - gate.act(x) - gate.jvp(gate.linearise(x), t)
    np.testing.assert_allclose(gate.residual(gate.linearise(x), (x,), (t,), (w,)), expected, atol=1e-9)
    assert gate.lipschitz(x.shape[1:]) == (float("inf"),)
    assert gate.ties(x) is None


@pytest.mark.parametrize(("scale", "zero_point"), GRIDS[:3])
def test_what_is_emitted_is_what_acts(scale: np.float32, zero_point: NDArray[np.generic]) -> None:
    limits = np.iinfo(zero_point.dtype)
    gate = SaturatingRounding(float(scale), int(limits.min) - int(zero_point), int(limits.max) - int(zero_point))
    e = Emitter()
    x = Symbol(e, "x", (-1, 6))
    e.rename(gate.act(x).name, "y")
    e.rename(gate.linearise(x).name, "slope")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 6]) for name in ("x", "y", "slope")]
    model = e.model(ports[:1], ports[1:])
    values, slope = onnx.reference.ReferenceEvaluator(model).run(None, {"x": X})
    np.testing.assert_array_equal(values, gate.act(X))
    np.testing.assert_array_equal(slope, gate.slope(X))


def test_constants_by_channel_and_by_block() -> None:
    q = RANDOM.integers(-8, 8, size=(4, 6))
    scales, zeros = RANDOM.uniform(0.1, 1, size=4).astype(np.float32), RANDOM.integers(-2, 2, size=4)
    rows = np.stack([(q[i] - zeros[i]) * scales[i] for i in range(4)])
    np.testing.assert_allclose(dequantised(q, scales, zeros, axis=0), rows, rtol=1e-6)
    blocks = RANDOM.uniform(0.1, 1, size=(4, 2)).astype(np.float32)
    by_block = np.concatenate([q[:, :3] * blocks[:, :1], q[:, 3:] * blocks[:, 1:]], axis=1)
    np.testing.assert_allclose(dequantised(q.astype(ml_dtypes.int4), blocks, None, 1, 3), by_block, rtol=1e-6)
    back = quantised(rows.astype(np.float32), scales, zeros.astype(np.int8), axis=0)
    np.testing.assert_array_equal(back, q)
    assert back.dtype == np.int8


def test_weights_behind_both_nodes_and_of_4_bits_are_weights(tmp_path: Path) -> None:
    """As training with quantisation in mind writes them, and weight-only quantisation."""
    scales = RANDOM.uniform(0.05, 0.1, size=3).astype(np.float32)
    zeros, q4 = np.zeros(3, np.int8), RANDOM.integers(-8, 8, size=(6, 3)).astype(ml_dtypes.int4)
    around = [
        helper.make_node("QuantizeLinear", ["w", "s", "z"], ["q"], axis=1),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["v"], axis=1),
    ]
    packed = [helper.make_node("DequantizeLinear", ["q", "s"], ["v"], axis=1)]
    last = helper.make_node("MatMul", ["x", "v"], ["logits"])
    for name, nodes, constants in (
        ("around", around, {"w": WEIGHT, "s": scales, "z": zeros}),
        ("packed", packed, {"s": scales}),
    ):
        model = model_of([*nodes, last], constants, ["N", 6], opset=21)
        if name == "packed":
            model.graph.initializer.append(
                helper.make_tensor("q", TensorProto.INT4, q4.shape, q4.astype(np.int8).ravel())
            )
        path = saved(tmp_path / f"{name}.onnx", model)
        network = load(path)
        assert (network.parameters, network.roundings, network.smooth_operators) == (18, 0, ())
        np.testing.assert_allclose(logits(network, X), as_written(path, X), rtol=1e-5, atol=1e-5)


def test_integers_as_input_are_scaled(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["logits"]),
    ]
    constants = {"s": np.float32(0.1), "z": np.uint8(7), "w": WEIGHT}
    path = saved(tmp_path / "net.onnx", model_of(nodes, constants, ["N", 6], input_type=TensorProto.UINT8))
    network, x = load(path), RANDOM.integers(0, 256, size=(9, 6)).astype(np.uint8)
    expected = as_written(path, x)  # type: ignore[arg-type]
    np.testing.assert_allclose(logits(network, x.astype(np.float32)), expected, rtol=1e-5, atol=1e-4)
    assert network.roundings == 0


def test_integers_that_are_moved_about_and_given_out(tmp_path: Path) -> None:
    """A MaxPool of integers, one q read twice under two names of one scale, and integers as logits."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("MaxPool", ["q"], ["p"], kernel_shape=[1, 2], strides=[1, 2]),
        helper.make_node("DequantizeLinear", ["p", "s", "z"], ["h"]),
        helper.make_node("DequantizeLinear", ["p", "s2", "z"], ["g"]),
        helper.make_node("Add", ["h", "g"], ["sum"]),
        helper.make_node("Flatten", ["sum"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
        helper.make_node("QuantizeLinear", ["y", "s3", "z"], ["logits"]),
    ]
    constants = {"s": np.float32(0.1), "s2": np.float32(0.1), "s3": np.float32(0.2), "z": np.uint8(90), "w": WEIGHT}
    path = saved(tmp_path / "net.onnx", model_of(nodes, constants, ["N", 1, 2, 6]))
    network, x = load(path), X.reshape(-1, 1, 2, 6)
    whole = (as_written(path, x).astype(np.float32) - 90) * np.float32(0.2)
    np.testing.assert_allclose(Logits(network, CPU, 1).run(x), whole, rtol=1e-6)
    far = np.abs(logits(network, x) - whole).max(axis=1) > 1e-4
    assert far.sum() <= 2
    assert network.roundings == 2


@pytest.mark.parametrize(
    ("scale", "zero_point", "said", "step"),
    [
        (np.full(6, 0.1, np.float32), np.zeros(6, np.uint8), "per channel", "per tensor"),
        (np.float32(-0.1), np.uint8(0), "scale is -0.1", "quantise again"),
        (np.float32(0.1), np.zeros((), ml_dtypes.float8_e4m3fn), "rounds to float8_e4m3fn", "float model"),
        (np.float32(0.1), np.zeros((), ml_dtypes.int4), "rounds to int4", "float model"),
    ],
)
def test_other_grids_are_refused_by_name(
    tmp_path: Path, scale: NDArray[np.float32], zero_point: NDArray[np.generic], said: str, step: str
) -> None:
    model = pair(np.asarray(scale), np.zeros(np.shape(zero_point), np.uint8))
    (old,) = (tensor for tensor in model.graph.initializer if tensor.name == "z")
    old.CopyFrom(numpy_helper.from_array(np.asarray(zero_point), "z"))
    with pytest.raises(ModelError) as raised:
        load(saved(tmp_path / "net.onnx", model))
    assert raised.value.code == "model-unsupported-operator"
    assert said in raised.value.problems[0].why
    assert step in raised.value.problems[0].do
    assert "QuantizeLinear" in raised.value.problems[0].where


def test_another_scale_behind_is_refused_by_name(tmp_path: Path) -> None:
    model = pair(np.asarray(np.float32(0.1)), np.asarray(np.uint8(0)))
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(np.float32(0.3)), "other"))
    model.graph.node[1].input[1] = "other"
    with pytest.raises(ModelError) as raised:
        load(saved(tmp_path / "net.onnx", model))
    assert "by one DequantizeLinear" in raised.value.problems[0].why


def test_integers_that_are_read_as_numbers_are_refused(tmp_path: Path) -> None:
    """A Cast is taken out elsewhere; of integers that would change the scale."""
    model = pair(np.asarray(np.float32(0.1)), np.asarray(np.uint8(0)))
    model.graph.node[1].CopyFrom(helper.make_node("Cast", ["q"], ["h"], to=TensorProto.FLOAT))
    with pytest.raises(ModelError) as raised:
        load(saved(tmp_path / "net.onnx", model))
    assert "by one DequantizeLinear" in raised.value.problems[0].why
