"""One forward pass through onnxruntime against the network's own evaluation in float64."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxbound.graph.load import load
from onnxbound.linear.linearisation import linearise
from onnxbound.run.device import CPU
from onnxbound.run.forward_norms import ForwardPass
from tests.nets import random_mlp
from tests.oracle.models import fixtures

FIXTURES = {model.name: model for model in fixtures()}


@pytest.mark.parametrize("name", ["mnist_mlp", "cifar10_cnn", "cifar10_alexnet", "cifar10_resnet"])
@pytest.mark.parametrize("without_bias", [False, True])
def test_norms_are_those_of_the_network_in_float64(name: str, without_bias: bool) -> None:
    network = load(FIXTURES[name].path)
    x, _ = FIXTURES[name].rows(np.arange(5))
    norms = ForwardPass(network, CPU, None, without_bias=without_bias).run(x)
    names = {n for layer in network.layers for n in (layer.input, layer.output, *(layer.gate or ()))}
    values = linearise(network.cast(np.float64), x.astype(np.float64), {*names, network.output}).values

    def norm(value: np.ndarray) -> np.ndarray:
        return np.linalg.norm(value.reshape(5, -1), axis=1)

    np.testing.assert_allclose(norms.logits, values[network.output], rtol=0, atol=1e-5 * np.abs(norms.logits).max())
    for i, layer in enumerate(network.layers):
        bias = layer.operator.bias if without_bias else None
        shift = 0 if bias is None else bias.reshape(-1, *(1,) * (values[layer.output].ndim - 2))
        np.testing.assert_allclose(norms.input_norm[:, i], norm(values[layer.input]), rtol=1e-5)
        np.testing.assert_allclose(norms.source_norm[:, i], norm(values[layer.output]), rtol=1e-5)
        np.testing.assert_allclose(norms.output_norm[:, i], norm(values[layer.output] - shift), rtol=1e-5)
        if layer.gate is None:
            assert np.isnan(norms.gate_input_norm[:, i]).all()
        else:
            np.testing.assert_allclose(norms.gate_input_norm[:, i], norm(values[layer.gate[0]]), rtol=1e-5)
            np.testing.assert_allclose(norms.gate_output_norm[:, i], norm(values[layer.gate[1]]), rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
def test_fixed_batch_is_filled_up_and_gives_what_any_batch_gives(tmp_path: Path, rows: int) -> None:
    x = np.random.default_rng(1).normal(size=(rows, 6)).astype(np.float32)
    fixed = load(random_mlp(tmp_path / "fixed.onnx", [6, 5, 4], batch=4))
    free = load(random_mlp(tmp_path / "free.onnx", [6, 5, 4]))
    found = ForwardPass(fixed, CPU, 1, without_bias=False).run(x)
    expected = ForwardPass(free, CPU, 1, without_bias=False).run(x)
    assert fixed.batch == 4
    np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-5)
    np.testing.assert_allclose(found.output_norm, expected.output_norm, rtol=1e-5)


@pytest.mark.parametrize("exponent", [-68, -60, 0, 66])
def test_norms_whose_squares_leave_float32(tmp_path: Path, exponent: int) -> None:
    """Of a row that is 0, of rows some of which are large, and of those that are small."""
    text = "agraph (float[n, 4, 8, 8] x) => (float[n, 72] y) <float[2, 4, 3, 3] w> { z = Conv (x, w) y = Flatten (z) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    draw = np.random.default_rng(0)
    weight = draw.normal(size=(2, 4, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save(model, tmp_path / "net.onnx")
    network = load(tmp_path / "net.onnx")
    x = draw.normal(size=(4, 4, 8, 8)).astype(np.float32)
    x[0], x[1:3] = 0, x[1:3] * np.float32(2.0**exponent)
    found = ForwardPass(network, CPU, 1, without_bias=False).run(x)
    expected = np.linalg.norm(x.astype(np.float64).reshape(4, -1), axis=1)
    np.testing.assert_allclose(found.input_norm[:, 0], expected, rtol=1e-7)
    outputs = np.linalg.norm(found.logits, axis=1)
    np.testing.assert_allclose(found.output_norm[:, 0], outputs, rtol=1e-7)
