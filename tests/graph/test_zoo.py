"""Small nets from every exporter: what is read is what the framework computed, and what onnxruntime computes."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from fixtures.zoo.digits import digits
from fixtures.zoo.table import PAGE, page
from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.settings import Settings
from onnxbound.data.open import open_rows
from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.finite_differences import FiniteDifferences
from onnxbound.linear.linearisation import linearise
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits

ZOO = Path(__file__).parents[2] / "fixtures" / "zoo"
NAMES = sorted(path.stem for path in (ZOO / "models").glob("*.onnx"))
OUTPUTS = np.load(ZOO / "outputs.npz")
ROWS = 8

REFUSED = {
    "keras_gelu_tf15": "Erfc",
    "torch_lstm_ts17": "LSTM",
}
"""Operator that is named when the file is refused."""

FAULTY = {"paddle_leaky_14": "the exporter writes the slope 2.5e-43 in place of 0.1"}
"""Files that compute something else than their framework did."""

READ = [name for name in NAMES if name not in REFUSED]
Array = NDArray[np.float64]

FORMS: list[Callable[[Array], Array]] = [
    lambda z: z,
    lambda z: special.softmax(z, axis=1),
    lambda z: special.log_softmax(z, axis=1),
    special.expit,
    lambda z: special.expit(z[:, 1:]),
    lambda z: z[:, 1],
    lambda z: z / z.sum(axis=1, keepdims=True),
]
"""What a framework may give for the logits z."""


def network(name: str) -> Network:
    return load(ZOO / "models" / f"{name}.onnx")


def rows_for(net: Network) -> NDArray[Any]:
    return digits()[0][:ROWS].reshape(ROWS, *net.input_shape).astype(net.input_type)


def logits(net: Network, x: NDArray[Any]) -> Array:
    values = linearise(net.cast(np.float64), x.astype(np.float64), {net.output}).values
    return np.asarray(values[net.output], np.float64)


def distance(z: Array, expected: NDArray[Any]) -> float:
    values = [form(z) for form in FORMS]
    return min(float(np.abs(v - expected).max()) for v in values if v.shape == expected.shape)


@pytest.mark.parametrize("name", READ)
def test_logits_are_those_of_onnxruntime_and_of_the_framework(name: str) -> None:
    net = network(name)
    x = rows_for(net)
    ours = logits(net, x)
    runtime = Logits(net, resolve_device("cpu"), 1).run(x)
    np.testing.assert_allclose(ours, runtime, rtol=0, atol=1e-5 * np.abs(runtime).max())
    with np.errstate(all="ignore"):
        found = distance(ours, OUTPUTS[name])
    if name in FAULTY:
        assert found > 0.1
    else:
        assert found < 2e-5 * max(1.0, float(np.abs(OUTPUTS[name]).max()))


@pytest.mark.parametrize("name", READ)
def test_jacobians_are_finite_differences(name: str) -> None:
    """Through onnxruntime; of nets that are curved in float64, where a short step suffices."""
    net = network(name)
    x = rows_for(net)
    t = np.random.default_rng(0).normal(size=x.shape).astype(x.dtype)
    at = linearise(net.cast(np.float64), x.astype(np.float64)).linearisation
    jacobian = at.jvp(net.input, t[None].astype(np.float64), [net.output])[net.output][0]
    if net.smooth_operators:
        h, wide = 1e-6, t.astype(np.float64)
        expected = (logits(net, x + h * wide) - logits(net, x - h * wide)) / (2 * h)
        kept = np.ones(ROWS, bool)
        tolerance = 1e-5
    else:
        found = FiniteDifferences(net, net.input, [net.output], resolve_device("cpu"), 1)(x, x, t, 2.0**-10)
        expected, kept = found.values[net.output], ~found.kinks
        tolerance = 2e-3
    np.testing.assert_allclose(jacobian[kept], expected[kept], rtol=0, atol=tolerance * np.abs(jacobian).max())


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name: str) -> None:
    with pytest.raises(ModelError, match=REFUSED[name]) as caught:
        network(name)
    assert caught.value.code == "model-unsupported-operator"
    assert all(problem.do for problem in caught.value.problems)


def same_net(name: str) -> str:
    """The net, without exporter and opset."""
    return name.rpartition("_")[0]


GROUPS = [
    names for _, group in groupby(READ, same_net) if len(names := list(group)) > 1 and names[0].startswith("torch")
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x, y = digits()
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, x_train=x[:60], y_train=y[:60], x_binary=x[:60], y_binary=(y[:60] > 4).astype(np.int64))
    return path


def numbers_of(net: Network, data: Path) -> dict[str, Any]:
    kind = "binary" if net.classes == 2 else "train"
    rows = open_rows(data, net, x_key=f"x_{kind}", y_key=f"y_{kind}")
    settings = Settings(measured=20, probes="exact", engine="numpy", device="cpu", threads=1)
    report = analyze(net, rows, settings).to_json()
    layers = [{k: v for k, v in layer.items() if isinstance(v, float | int | dict)} for layer in report["layers"]]
    return {"parameters": net.parameters, "margin": report["margin"], "layers": layers}


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_the_same_net_from_two_exporters_has_the_same_numbers(names: list[str], data: Path) -> None:
    first = numbers_of(network(names[0]), data)
    for name in names[1:]:
        require_equal(first, numbers_of(network(name), data), name)


def require_equal(a: Any, b: Any, where: str) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            require_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for number, (left, right) in enumerate(zip(a, b, strict=True)):
            require_equal(left, right, f"{where}[{number}]")
    elif isinstance(a, float) and isinstance(b, float):
        assert a == pytest.approx(b, rel=3e-5, abs=1e-7), where
    elif isinstance(a, int) or a is None:
        assert a == b, where


def test_the_page_of_exporters_is_current() -> None:
    assert page() == PAGE.read_text(), "python -m fixtures.zoo.table writes it"
