"""The programme as one ONNX graph against the NumPy sweep, on small nets of every shape and on every real net."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxbound.errors import UsageError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.emit import emit
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.linear.jacobian_norm import exact_pairs
from onnxbound.linear.programme import Form, Measurement, Programme, Share
from onnxbound.run.device import CPU
from tests.linear.test_measure import NETS, net
from tests.oracle.models import fixtures, public_models

MODELS = {model.name: model for model in (*fixtures(), *public_models())}
ALONE = {"logits", "ties", "index"}
"""What is compared by its own rule."""


def programme(form: Form, probes: int = 2, *, radius: float = 0.1, output_only: bool = False) -> Programme:
    return Programme(form, probes, False, True, radius, output_only, seed=4)


def both(network: Network, wanted: Programme, index: np.ndarray, rows: np.ndarray) -> tuple[Measurement, Measurement]:
    model, emission = emit(network.cast(np.float32), wanted)
    onnx.checker.check_model(whole(model, emission.weights))
    engine = OnnxruntimeEngine(network, wanted, CPU, 1)
    return NumpyEngine(network, wanted).measure(index, rows), engine.measure(index, rows)


def whole(model: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The model with the large constants in it that it only mentions."""
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    return model


def require_agreement(ours: Measurement, theirs: Measurement) -> None:
    """1e-5 relative; norms of deviations are no better than rounding against the signal they deviate from."""
    np.testing.assert_array_equal(ours.index, theirs.index)
    np.testing.assert_array_equal(ours.ties, theirs.ties)
    np.testing.assert_allclose(theirs.logits, ours.logits, rtol=0, atol=1e-5 * np.abs(ours.logits).max())
    for field in fields(Measurement):
        if field.name in ALONE:
            continue
        one, two = getattr(ours, field.name), getattr(theirs, field.name)
        rtol, atol = 1e-5, 0.0
        if field.name == "residual_norm":
            rtol, atol = 1e-4, 1e-6 * ours.target_norm.max()
        elif field.name == "jacobian_squared_error":  # of probes whose results are nearly equal
            atol = 1e-5 * float(np.nanmax(ours.jacobian_squared, initial=0.0))
        np.testing.assert_allclose(two, one, rtol=rtol, atol=atol, err_msg=field.name)


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("form", ["affine", "linear"])
@pytest.mark.parametrize("output_only", [False, True])
def test_small_nets(tmp_path: Path, kind: str, form: Form, output_only: bool) -> None:
    network = net(tmp_path / "net.onnx", kind)
    rows = np.random.default_rng(0).normal(size=(7, *network.input_shape)).astype(np.float32)
    wanted = programme(form, 3, radius=0.5, output_only=output_only)
    require_agreement(*both(network, wanted, np.arange(10, 17), rows))


@pytest.mark.parametrize("kind", [kind for kind in NETS if kind != "one layer"])
@pytest.mark.parametrize("output_only", [False, True])
@pytest.mark.parametrize("exact_output", [False, True])
def test_jacobians_with_a_small_side_are_exact(
    tmp_path: Path, kind: str, output_only: bool, exact_output: bool
) -> None:
    network = net(tmp_path / "net.onnx", kind)
    rows = np.random.default_rng(0).normal(size=(5, *network.input_shape)).astype(np.float32)
    wanted = replace(programme("affine", output_only=output_only), exact_output=exact_output, small_side=6)
    ours, theirs = both(network, wanted, np.arange(5), rows)
    require_agreement(ours, theirs)
    exact = NumpyEngine(network, replace(wanted, exact_pairs=True)).measure(np.arange(5), rows)
    pairs = exact_pairs(network, wanted)
    assert pairs
    for i, j in pairs:
        pair = (slice(None), i - 1, j - 1)
        np.testing.assert_allclose(ours.jacobian_squared[pair], exact.jacobian_squared[pair], rtol=1e-5)
        assert not theirs.jacobian_squared_error[pair].any()
    assert (ours.jacobian_squared_error > 0).any() == (pairs != exact_pairs(network, replace(wanted, exact_pairs=True)))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["affine", "linear"])
def test_real_nets(name: str, form: Form) -> None:
    """On rows where no gate flips between the two; a flip shows in the number of ties or in a norm."""
    index = np.arange(4)
    x, _ = MODELS[name].rows(index)
    require_agreement(*both(load(MODELS[name].path), programme(form), index, x))


def test_a_row_without_signal(tmp_path: Path) -> None:
    network = net(tmp_path / "net.onnx", "chain")
    rows = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    rows[1] = 0
    ours, theirs = both(network, programme("affine"), np.arange(3), rows)
    require_agreement(ours, theirs)
    assert ours.ties.tolist() == theirs.ties.tolist()


def test_batches_of_any_length_run_through_one_session(tmp_path: Path) -> None:
    network = net(tmp_path / "net.onnx", "convolutional")
    rows = np.random.default_rng(0).normal(size=(5, *network.input_shape)).astype(np.float32)
    engine = OnnxruntimeEngine(network, programme("linear"), CPU, 1)
    together = engine.measure(np.arange(5), rows)
    alone = Measurement.merge([engine.measure(np.arange(n, n + 1), rows[n : n + 1]) for n in range(5)])
    require_agreement(together, alone)


@pytest.mark.parametrize("form", ["affine", "linear"])
@pytest.mark.parametrize("kind", ["residual", "convolutional"])
def test_probes_a_few_at_a_time(tmp_path: Path, kind: str, form: Form) -> None:
    network, wanted = net(tmp_path / "net.onnx", kind), programme(form, 6)
    rows, index = np.random.default_rng(0).normal(size=(5, *network.input_shape)).astype(np.float32), np.arange(5)
    whole = NumpyEngine(network, wanted).measure(index, rows)
    for at_once in (1, 2, 3):
        share = Share(at_once, network.depth - 1)
        require_agreement(whole, NumpyEngine(network, wanted, share=share).measure(index, rows))
        require_agreement(whole, OnnxruntimeEngine(network, wanted, CPU, 1, share).measure(index, rows))


@pytest.mark.parametrize("form", ["affine", "linear"])
@pytest.mark.parametrize("kind", NETS)
def test_noise_of_a_few_layers_at_a_time(tmp_path: Path, kind: str, form: Form) -> None:
    network, wanted = net(tmp_path / "net.onnx", kind), programme(form, 2)
    rows, index = np.random.default_rng(0).normal(size=(5, *network.input_shape)).astype(np.float32), np.arange(5)
    whole = NumpyEngine(network, wanted).measure(index, rows)
    for sources in range(1, network.depth - 1):
        share = Share(1, sources)
        require_agreement(whole, NumpyEngine(network, wanted, share=share).measure(index, rows))
        with pytest.raises(UsageError, match="`memory` is too small"):
            OnnxruntimeEngine(network, wanted, CPU, 1, share)
