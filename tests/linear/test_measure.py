"""Raw norms against their definitions, worked out with dense Jacobians and plain evaluation of the net."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, helper

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.measure import measure
from onnxbound.linear.programme import Form, Measurement, Programme
from onnxbound.rng import normal_noise
from tests.nets import random_mlp, write_model

Float64 = NDArray[np.float64]

INDEX = np.array([2, 5, 11])
RADIUS = 0.3
NETS = ("chain", "residual", "parallel", "convolutional", "one layer")


def node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(), [output], **attributes)


def net(path: Path, kind: str) -> Network:
    """Small nets with biases; every gate is near enough to flip under noise of relative length 0.3."""
    if kind in ("chain", "one layer"):
        return load(random_mlp(path, [6, 7, 5, 4, 3] if kind == "chain" else [6, 3], seed=1))
    random = np.random.default_rng(7)

    def weight(*shape: int) -> NDArray[np.float32]:
        return (random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = {"b": random.normal(size=5).astype(np.float32)} | {f"w{i}": weight(5, 5) for i in range(1, 5)}
    if kind == "residual":
        nodes = [
            node("Gemm", "x w1 b", "x1"),
            node("Relu", "x1", "a"),
            node("Gemm", "a w2 b", "x2"),
            node("Add", "x2 a", "r"),
            node("Relu", "r", "c"),
            node("Gemm", "c w3", "x3"),
            node("LeakyRelu", "x3", "l", alpha=0.3),
            node("Gemm", "l w4 b", "x4"),
            node("Add", "x4 r", "logits"),
        ]
    elif kind == "parallel":
        constants["w4"] = weight(10, 5)
        nodes = [
            node("Gemm", "x w1 b", "x1"),
            node("Gemm", "x w2 b", "x2"),
            node("Relu", "x2", "a"),
            node("Gemm", "a w3", "x3"),
            node("Concat", "x1 x3", "c", axis=1),
            node("Relu", "c", "d"),
            node("Gemm", "d w4 b", "logits"),
        ]
    else:
        constants = {
            "k1": weight(3, 2, 3, 3), "c1": weight(3), "k2": weight(4, 3, 2, 2), "c2": weight(4),
            "w": weight(16, 3), "b": weight(3),
        }  # fmt: skip
        nodes = [
            node("Conv", "x k1 c1", "x1", pads=[1] * 4),
            node("Relu", "x1", "a"),
            node("MaxPool", "a", "p", kernel_shape=[2, 2], strides=[1, 1]),
            node("Conv", "p k2 c2", "x2", strides=[2, 2]),
            node("Relu", "x2", "q"),
            node("Flatten", "q", "f"),
            node("Gemm", "f w b", "logits"),
        ]
    shape = [2, 6, 6] if kind == "convolutional" else [5]
    return load(write_model(path, nodes, constants, ["N", *shape]))


def value(network: Network, row: Float64, name: str, moved: tuple[str, Float64] | None = None) -> Float64:
    """The tensor of that name, another tensor set to the given value: M^{i,j} is a function of it."""
    known = {network.input: row[None]}
    if moved:
        known[moved[0]] = moved[1][None]
    for step in network.steps:
        if step.output not in known:
            known[step.output] = step.operator.act(*(known[tensor] for tensor in step.inputs))
    return np.asarray(known[name][0])


def dense(network: Network, row: Float64, source: str, target: str) -> Float64:
    """The Jacobian, (outputs, inputs), by differences so small that no gate flips."""
    at = value(network, row, source)
    columns = []
    for unit in np.eye(at.size):
        step = 1e-6 * unit.reshape(at.shape)
        up, down = (value(network, row, target, (source, at + sign * step)) for sign in (1, -1))
        columns.append((up - down).ravel() / 2e-6)
    return np.stack(columns, axis=1)


def norm(x: Float64) -> float:
    return float(np.linalg.norm(x))


def rows_of(network: Network) -> Float64:
    return np.random.default_rng(0).normal(size=(len(INDEX), *network.input_shape))


def run(network: Network, form: Form, probes: int = 2, *, exact: bool = True, seed: int = 9) -> Measurement:
    programme = Programme(
        form=form, probes=probes, exact_pairs=exact, exact_output=exact, radius=RADIUS, output_only=False, seed=seed
    )
    return measure(network, programme, INDEX, rows_of(network))


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("form", ["affine", "linear"])
def test_norms_of_single_tensors(tmp_path: Path, kind: str, form: Form) -> None:
    network = net(tmp_path / "net.onnx", kind).cast(np.float64)
    found = run(network, form)
    for n, row in enumerate(rows_of(network)):
        np.testing.assert_allclose(found.logits[n], value(network, row, network.output), rtol=1e-12)
        for i, layer in enumerate(network.layers):
            x, a = value(network, row, layer.output), value(network, row, layer.input)
            bias = (
                np.zeros_like(x)
                if layer.operator.bias is None
                else layer.operator.bias.reshape(-1, *(1,) * (x.ndim - 1))
            )
            output = x - bias if form == "linear" else x
            assert found.input_norm[n, i] == pytest.approx(norm(a), rel=1e-12)
            assert found.output_norm[n, i] == pytest.approx(norm(output), rel=1e-12)
            assert found.source_norm[n, i] == pytest.approx(norm(x), rel=1e-12)
            target = value(network, row, network.target(layer.index))
            assert found.target_norm[n, i] == pytest.approx(norm(target), rel=1e-12)
            if layer.gate:
                assert found.gate_input_norm[n, i] == pytest.approx(norm(value(network, row, layer.gate[0])), rel=1e-12)
                assert found.gate_output_norm[n, i] == pytest.approx(
                    norm(value(network, row, layer.gate[1])), rel=1e-12
                )


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("form", ["affine", "linear"])
def test_norms_of_pairs(tmp_path: Path, kind: str, form: Form) -> None:
    network = net(tmp_path / "net.onnx", kind).cast(np.float64)
    probes, seed, flips = 3, 9, 0
    found = run(network, form, probes)
    for layer in network.layers:
        for target in range(1, network.depth + 1):
            for n, row in enumerate(rows_of(network)):
                pair = n, layer.index - 1, target - 1
                if not network.has_path(layer.index, target):
                    assert np.isnan(found.jacobian_squared[pair])
                    assert np.isnan(found.residual_norm[pair])
                    assert np.isnan(found.signal_norm[pair])
                    continue
                name = network.target(target)
                x, y = value(network, row, layer.output), value(network, row, name)
                jacobian = dense(network, row, layer.output, name)
                through = (jacobian @ x.ravel()).reshape(y.shape)
                assert found.jacobian_squared[pair] == pytest.approx(norm(jacobian) ** 2, rel=1e-8)
                expected = norm(y if form == "affine" else through)
                assert found.signal_norm[pair] == pytest.approx(expected, rel=1e-8)
                deviations = []
                for probe in range(probes):
                    g = normal_noise(seed, layer.index, INDEX[n : n + 1], probe, x.size)[0].astype(np.float64)
                    eta = RADIUS * norm(x) * g / norm(g)
                    moved = value(network, row, name, (layer.output, x + eta.reshape(x.shape)))
                    straight = jacobian @ (eta if form == "affine" else x.ravel() + eta)
                    deviations.append(norm((moved - (y if form == "affine" else 0)).ravel() - straight))
                assert found.residual_norm[pair] == pytest.approx(max(deviations), rel=1e-7, abs=1e-8)
                flips += max(deviations) > 1e-3
    assert flips or network.depth == 1, "noise flipped no gate: smoothness was not tested"


@pytest.mark.parametrize("kind", NETS)
def test_largest_pixel(tmp_path: Path, kind: str) -> None:
    network = net(tmp_path / "net.onnx", kind).cast(np.float64)
    found = run(network, "affine")
    for layer in network.layers[:-1]:
        for n, row in enumerate(rows_of(network)):
            jacobian = dense(network, row, layer.output, network.output)
            per_pixel = (jacobian**2).sum(axis=0).reshape(layer.operator.channels, -1).sum(axis=0)
            assert per_pixel.size == layer.positions
            assert found.largest_pixel_squared[n, layer.index - 1] == pytest.approx(per_pixel.max(), rel=1e-8)


@pytest.mark.parametrize("kind", NETS)
def test_a_row_alone_gives_what_it_gives_in_a_batch(tmp_path: Path, kind: str) -> None:
    network = net(tmp_path / "net.onnx", kind).cast(np.float64)
    rows = rows_of(network)
    programme = Programme("linear", 2, exact_pairs=False, exact_output=True, radius=RADIUS, output_only=False, seed=3)
    together = measure(network, programme, INDEX, rows)
    alone = Measurement.merge(
        [measure(network, programme, INDEX[n : n + 1], rows[n : n + 1]) for n in range(len(rows))]
    )
    for name in Measurement.__dataclass_fields__:
        np.testing.assert_allclose(getattr(alone, name), getattr(together, name), rtol=1e-10, atol=1e-12, err_msg=name)


def test_output_only_leaves_the_other_pairs_out(tmp_path: Path) -> None:
    network = net(tmp_path / "net.onnx", "chain").cast(np.float64)
    programme = Programme("affine", 2, exact_pairs=False, exact_output=False, radius=0.1, output_only=True, seed=3)
    found = measure(network, programme, INDEX, rows_of(network))
    assert np.isnan(found.jacobian_squared[:, :, :-1]).all()
    assert np.isfinite(found.jacobian_squared[:, :-1, -1]).all()


@pytest.mark.parametrize("kind", ["chain", "residual", "convolutional"])
def test_hutchinson_is_unbiased_and_its_standard_error_honest(tmp_path: Path, kind: str) -> None:
    """2,000 probes in 40 independent runs of 50, every pair and row.

    The mean of all is held to the exact |J|_F^2 within 4.5 of its standard errors; over at most 54 numbers a sound
    estimator fails that with probability 4e-4. Its standard error is 1 to 5 % of |J|_F^2, so that a missing factor, or
    noise of another variance, shows. Errors claimed by the 40 runs are held to the spread of the 40 estimates.
    """
    network = net(tmp_path / "net.onnx", kind).cast(np.float64)
    exact = run(network, "affine", 1).jacobian_squared
    runs = [run(network, "affine", 50, exact=False, seed=seed) for seed in range(40)]
    estimates = np.stack([one.jacobian_squared for one in runs])
    claimed = np.sqrt(np.mean([one.jacobian_squared_error**2 for one in runs], axis=0))
    assert (estimates[:, exact == 0] == 0).all()
    met = exact > 0
    spread = estimates.std(axis=0, ddof=1)
    error = spread / np.sqrt(len(runs))
    assert (error[met] < 0.05 * exact[met]).all()
    assert (np.abs(estimates.mean(axis=0) - exact)[met] < 4.5 * error[met]).all()
    # The spread of 40 draws is off by 11 % (one standard deviation) for a single number, its mean over many by less.
    assert np.mean(spread[met] / claimed[met]) == pytest.approx(1, abs=0.1)


def test_one_probe_claims_no_standard_error(tmp_path: Path) -> None:
    found = run(net(tmp_path / "net.onnx", "chain").cast(np.float64), "affine", 1, exact=False)
    assert np.isnan(found.jacobian_squared_error).all()
    assert np.isfinite(found.jacobian_squared[:, 0, 1:]).all()


def test_rows_with_a_tie_are_told(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [4, 5, 3], biased=False)).cast(np.float64)
    rows = np.random.default_rng(0).normal(size=(3, 4))
    rows[1] = 0
    programme = Programme("affine", 1, exact_pairs=False, exact_output=False, radius=0.1, output_only=False, seed=0)
    assert measure(network, programme, np.arange(3), rows).ties.tolist() == [False, True, False]
