"""Quantised nets are read as the functions they are: onnxruntime's values, and the gates of the float net."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from packaging.version import Version

from fixtures.quantised import FIXTURES, KINDS, Kind, as_written, floating, quantised, rows
from fixtures.zoo.digits import HERE, digits
from onnxbound import Preprocessing, Settings, analyze, load, open_rows
from onnxbound.errors import ModelError
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.operators.quantisation import SaturatingRounding
from onnxbound.operators.relu import Relu
from onnxbound.run.device import CPU
from onnxbound.run.logits import Logits

ROWS = 60
Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quantised")


def ours(network: Network, x: Array) -> Array:
    return linearise(network.cast(np.float32), x, {network.output}).values[network.output]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_logits_are_those_of_onnxruntime(folder: Path, kind: Kind) -> None:
    path, x = quantised(kind, folder), rows(kind.fixture)[:ROWS]
    network, expected = load(path), as_written(path, x)
    # What runs is what the file says, though nodes were spelled otherwise.
    np.testing.assert_array_equal(Logits(network, CPU, 1).run(x), expected)
    far = np.abs(ours(network, x) - expected).max(axis=1) > 1e-4 * np.abs(expected).max()
    assert network.smooth_operators == ("QuantizeLinear",)
    assert network.roundings >= network.depth
    if kind.name.endswith("QOperator-QUInt8-QInt8") and _saturates():
        pytest.skip("without VNNI onnxruntime adds products of these types in 16 bits, which saturate")
    assert far.sum() <= ROWS // 10, f"{far.sum()} rows fall otherwise"


def _saturates() -> bool:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "vnni" not in flags


@pytest.mark.parametrize("kind", [k for k in KINDS if k.fixture != "cifar10_resnet"], ids=lambda kind: kind.name)
def test_the_gates_are_the_relus_of_the_float_net(folder: Path, kind: Kind) -> None:
    x = rows(kind.fixture)[:ROWS]
    float_net, network = load(floating(kind.fixture, folder)), load(quantised(kind, folder))
    expected, found = open_gates(float_net, x), open_gates(network, x)
    assert len(found) == len(expected) == network.depth - 1
    for at_float, at_quantised in zip(expected, found, strict=True):
        assert 0.05 < at_float.mean() < 0.95
        assert (at_float == at_quantised).mean() > 0.97
    assert network.layers[-1].gate is None
    counts = sum(int(layer.operator.weight.size) for layer in float_net.layers)
    assert sum(layer.parameters for layer in network.layers) == counts
    for one, two in zip(float_net.layers, network.layers, strict=True):
        step = np.abs(one.operator.weight).max() / 127
        assert np.abs(one.operator.weight - two.operator.weight).max() <= step


def open_gates(network: Network, x: Array) -> list[NDArray[np.bool_]]:
    """Per layer with a gate behind it, which are open; slopes seen through the linearisation."""
    forward = linearise(network.cast(np.float32), x)
    states = {
        step.output: state
        for step, state in zip(network.steps, forward.linearisation.states, strict=True)
        if isinstance(step.operator, Relu | SaturatingRounding) and state is not None
    }
    return [states[layer.gate[1]] > 0 for layer in network.layers if layer.gate is not None]


def test_the_runtime_must_not_fuse(folder: Path) -> None:
    """Fused, a symmetric net rounds once less where a Relu follows, and most rows have other logits."""
    kind = Kind("cifar10_cnn", "QDQ", "QInt8", symmetric=True)
    path, x = quantised(kind, folder), rows(kind.fixture)[:ROWS]
    differ = (as_written(path, x) != as_written(path, x, fused=True)).any(axis=1)
    assert differ.mean() > 0.2


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
def test_analyze_says_that_the_net_rounds(folder: Path, form: str, engine: str) -> None:
    network = load(quantised(Kind("mnist_mlp", form), folder))
    data = open_rows(FIXTURES / "data" / "mnist.npz", network, Preprocessing(scale=1 / 255))
    report = analyze(network, data, Settings(measured=20, probes=1, engine=engine))  # type: ignore[arg-type]
    (said,) = (warning for warning in report.warnings if "straight through" in warning)
    assert f"on {report.coverage.rows_rounded_otherwise} of 20 measured rows" in said
    assert report.data.train_error < 0.02
    bounds = {bound.name: bound for bound in report.bounds}
    assert "QuantizeLinear" in bounds["theorem-4.1"].met_reason
    assert bounds["arora"].value is None
    assert bounds["compressed"].met is False
    assert "0 errors allow" in bounds["compressed"].met_reason
    first = report.layers[0]
    assert first.contraction is not None
    assert first.contraction.median > 1.1
    assert first.between_contraction is None
    assert all(pair.smoothness_inverse is not None for pair in report.pairs)


def test_a_misread_gate_is_no_rounding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Q and DQ taken for identities make another net, which the comparison with onnxruntime finds."""
    network = load(quantised(Kind("mnist_mlp", "QDQ"), folder))
    data = open_rows(FIXTURES / "data" / "mnist.npz", network, Preprocessing(scale=1 / 255))
    monkeypatch.setattr(SaturatingRounding, "act", lambda _, *x: x[0])
    with pytest.raises(ModelError) as raised:
        analyze(network, data, Settings(measured=20, probes=1, engine="numpy"))
    assert raised.value.code == "model-mismatch"


def test_dynamic_quantisation_is_refused_by_name(folder: Path) -> None:
    path = folder / "dynamic.onnx"
    quantize_dynamic(floating("mnist_mlp", folder), path)
    with pytest.raises(ModelError) as raised:
        load(path)
    assert raised.value.code == "model-unsupported-operator"
    problems = {problem.where.partition("(")[2].split()[0]: problem for problem in raised.value.problems}
    assert problems.keys() == {"DynamicQuantizeLinear", "MatMulInteger"}
    assert "whole batch" in problems["DynamicQuantizeLinear"].why
    assert all("quantize_static" in problem.do for problem in problems.values())


class _Digits(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self._batches = iter([{"x": digits()[0][:100, None]}])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._batches, None)


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("net", ["torch_class_token_ts17", "torch_windows_ts17", "torch_squeeze_excite_ts17"])
def test_quantised_attention(folder: Path, net: str, form: str) -> None:
    """The batch moves about, scales are computed from lengths, and Softmax is quantised too."""
    path, x = folder / f"{net}-{form}.onnx", digits()[0][:20, None]
    quantize_static(HERE / "models" / f"{net}.onnx", path, _Digits(), quant_format=QuantFormat[form])
    network = load(path)
    np.savez(folder / "digits.npz", x=x, y=np.arange(20) % 10)
    report = analyze(network, open_rows(folder / "digits.npz", network, Preprocessing()), Settings(probes=1))
    assert report.model.piecewise_linear is False
    assert network.roundings > network.depth
    expected = np.concatenate([as_written(path, row[None]) for row in x])
    far = np.abs(ours(network, x) - expected).max(axis=1) > 1e-4 * np.abs(expected).max()
    # What lies about halfway between two integers: onnxruntime 1.28 rounds three rows otherwise, 1.31 none.
    most = 3 if Version(onnxruntime.__version__) < Version("1.29") else 2
    assert far.sum() == report.coverage.rows_rounded_otherwise <= most
