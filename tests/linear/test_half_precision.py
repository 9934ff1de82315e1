"""Tangents and deviations multiplied by weights in half precision: how far they are off, and when that is used.

onnxruntime's CPU provider rounds the factors and the result to float16, and adds up in float32, as tensor cores do.
"""

import threading
from collections.abc import Iterable
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxbound.graph.load import load
from onnxbound.linear import choose_engine as choosing
from onnxbound.linear import graph_engine
from onnxbound.linear.choose_engine import HALF_DIFFERENCE, Choice, choose_engine, half_if_it_agrees, largest_change
from onnxbound.linear.emit import emit
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.linear.programme import Form, Measurement, Share
from onnxbound.run.device import CPU, Device
from tests.linear.test_engine import MODELS, programme, require_agreement, whole
from tests.linear.test_measure import net

ROWS = np.arange(8)
GPU = Device("cuda:0", CPU.providers)
"""What is done on a GPU, computed by the CPU."""


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if load(model.path).depth > 1])
def test_estimates_hardly_change(name: str) -> None:
    network, wanted = load(MODELS[name].path), programme("affine", 1)
    x, _ = MODELS[name].rows(ROWS)
    exact = OnnxruntimeEngine(network, wanted, CPU, 1).measure(ROWS, x)
    half = OnnxruntimeEngine(network, wanted, CPU, 1, half=True).measure(ROWS, x)
    assert 0 < largest_change(exact, half) < HALF_DIFFERENCE
    # The rows themselves, their gates and what is exact do not notice.
    for field in ("logits", "ties", "source_norm", "gate_output_norm", "largest_pixel_squared"):
        np.testing.assert_array_equal(getattr(half, field), getattr(exact, field))
    exact_pairs = exact.jacobian_squared_error == 0
    np.testing.assert_array_equal(half.jacobian_squared[exact_pairs], exact.jacobian_squared[exact_pairs])


@pytest.mark.parametrize("half", [False, True])
def test_only_noise_goes_in_and_only_norms_come_out(half: bool) -> None:
    """What crosses between a host and a device per row: the row, two bytes per entry of noise, and norms."""
    network, wanted = load(MODELS["cifar10_resnet"].path), programme("affine", 3)
    model, emission = emit(network.cast(np.float32), wanted, half=half)
    onnx.checker.check_model(whole(model, emission.weights))

    def per_row(values: Iterable[onnx.ValueInfoProto]) -> int:
        kinds = [value.type.tensor_type for value in values]
        lengths = [[axis.dim_value for axis in kind.shape.dim if not axis.dim_param] for kind in kinds]
        assert all(sum(bool(axis.dim_param) for axis in kind.shape.dim) == 1 for kind in kinds)
        sizes = [helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize for kind in kinds]
        return sum(size * prod(own) for size, own in zip(sizes, lengths, strict=True))

    noise = sum(prod(layer.output_shape) for layer in network.layers[:-1])
    assert per_row(model.graph.input) == 4 * prod(network.input_shape) + 2 * 3 * noise
    streams = 2 * 3 * sum(len(sources) for sources in emission.sources.values())
    norms = streams + 3 * (network.depth - 1) + 3 * network.depth + 1 + len(emission.exact) + len(emission.pixels)
    assert per_row(model.graph.output) <= 4 * (network.classes + 1) + 8 * norms


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_weights_and_rows_of_any_size_fit_its_range(tmp_path: Path, factor: float) -> None:
    network = net(tmp_path / "net.onnx", "convolutional")
    first = network.steps[0]
    scaled = replace(first, operator=replace(first.operator, weight=first.operator.weight * np.float32(factor)))
    network = replace(network, steps=(scaled, *network.steps[1:]))
    rows = np.random.default_rng(0).normal(size=(3, *network.input_shape)).astype(np.float32)
    rows[1] = 0
    wanted, index = replace(programme("affine", 1), exact_output=False), np.arange(3)
    exact = OnnxruntimeEngine(network, wanted, CPU, 1).measure(index, rows)
    half = OnnxruntimeEngine(network, wanted, CPU, 1, half=True).measure(index, rows)
    assert largest_change(exact, half) < HALF_DIFFERENCE


def test_a_change_is_seen_where_it_is() -> None:
    network, wanted = load(MODELS["cifar10_cnn"].path), programme("affine", 1)
    x, _ = MODELS["cifar10_cnn"].rows(ROWS)
    found = NumpyEngine(network, wanted).measure(ROWS, x)
    assert largest_change(found, found) == 0
    squared, deviations = found.jacobian_squared.copy(), found.residual_norm.copy()
    squared[3, 0, 1] *= 1.002**2
    assert largest_change(found, replace(found, jacobian_squared=squared)) == pytest.approx(0.002 / 8**0.5, rel=1e-3)
    deviations[:, 0, 2] *= 0.998
    assert largest_change(found, replace(found, residual_norm=deviations)) == pytest.approx(0.002, rel=1e-3)
    for missing in (np.inf, np.nan):
        deviations[2, 0, 2] = missing
        assert largest_change(found, replace(found, residual_norm=deviations)) == np.inf


def chosen(*, strict: bool = False, form: Form = "affine") -> Choice:
    network, wanted = load(MODELS["cifar10_cnn"].path), programme(form, 1)
    x, _ = MODELS["cifar10_cnn"].rows(ROWS)
    share = Share.whole(wanted, network.depth)
    return choose_engine("auto", network, wanted, GPU, 1, lambda: (ROWS, x), 100, share, strict=strict)


def test_on_a_gpu_the_faster_one_that_agrees_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"onnxruntime": 2.0, "onnxruntime-half": 1.0}
    run = OnnxruntimeEngine.trial

    def trial(engine: OnnxruntimeEngine, index: np.ndarray, rows: np.ndarray) -> float:
        run(engine, index, rows)
        return seconds[engine.name]

    monkeypatch.setattr(OnnxruntimeEngine, "trial", trial)
    choice = chosen()
    assert (choice.engine.name, choice.seconds) == ("onnxruntime-half", 1.0)
    assert "half precision changes the estimates of no pair by more than 0.0" in choice.note
    seconds["onnxruntime"] = 0.5
    assert chosen().engine.name == "onnxruntime"
    seconds["onnxruntime"] = 2.0
    monkeypatch.setattr(choosing, "HALF_DIFFERENCE", 1e-9)
    assert chosen().engine.name == "onnxruntime"


def test_it_is_left_out_where_float32_is_asked_for_and_in_the_linear_form() -> None:
    for choice in (chosen(strict=True), chosen(form="linear")):
        assert choice.engine.name == "onnxruntime"
        assert "half" not in choice.note


def test_an_engine_that_misses_numbers_is_not_taken() -> None:
    network, wanted = load(MODELS["cifar10_cnn"].path), programme("affine", 1)
    x, _ = MODELS["cifar10_cnn"].rows(ROWS)

    class Broken(OnnxruntimeEngine):
        def _run(self, index: np.ndarray, rows: np.ndarray) -> Measurement:
            found = super()._run(index, rows)
            return replace(found, jacobian_squared=np.full_like(found.jacobian_squared, np.nan))

    engine, broken = OnnxruntimeEngine(network, wanted, CPU, 1), Broken(network, wanted, CPU, 1, half=True)
    assert half_if_it_agrees(engine, broken, ROWS, x).engine is engine


def test_the_noise_of_the_next_rows_is_made_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    network, wanted = load(MODELS["cifar10_cnn"].path), programme("affine", 1)
    x, _ = MODELS["cifar10_cnn"].rows(ROWS)
    makers, make = [], graph_engine.noise_words

    def noise_words(*words: object) -> np.ndarray:
        makers.append(threading.current_thread().name.startswith("noise"))
        return make(*words)

    monkeypatch.setattr(graph_engine, "noise_words", noise_words)
    engine, plain = (OnnxruntimeEngine(network, wanted, CPU, 1) for _ in range(2))
    engine.foresee(ROWS)
    found = Measurement.merge([engine.measure(ROWS[k : k + 4], x[k : k + 4]) for k in (0, 4)])
    assert makers == [False] * 3 + [True] * 3
    require_agreement(found, plain.measure(ROWS, x))
