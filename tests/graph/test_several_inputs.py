"""Nets that take several inputs per row: arrays by the inputs' names, packed into one row and cut apart again."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from onnxbound import Settings, analyze, certify, load, open_rows, verify
from onnxbound.errors import DataError, OnnxboundError
from onnxbound.graph.network import Network
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.finite_differences import FiniteDifferences
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.programme import Programme
from onnxbound.linear.values import all_values
from onnxbound.rng import normal_noise
from onnxbound.run.device import CPU
from tests.cli.command import onnxbound
from tests.graph.transformers import LENGTH, MASKS, Mask, sentences, transformer

ROWS = sentences(40)
INT32, INT64, FLOAT = TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT


def decisions(path: Path, rows: dict[str, NDArray[Any]] = ROWS) -> NDArray[np.float32]:
    (logits,) = onnxruntime.InferenceSession(path).run(None, rows)
    return np.asarray(logits)


def packed(network: Network, rows: object) -> NDArray[Any]:
    (batch,) = open_rows((rows, None), network, labelled=False).batches(1000)  # type: ignore[arg-type]
    return batch.inputs


@pytest.mark.parametrize("mask", MASKS)
def test_logits_are_those_of_onnxruntime_on_the_file_itself(tmp_path: Path, mask: Mask) -> None:
    network = load(transformer(tmp_path / "net.onnx", mask))
    assert network.parts == {"input_ids": (LENGTH,), "attention_mask": (LENGTH,)}
    expected = decisions(network.path)
    found = all_values(network.cast(np.float64), packed(network, ROWS).astype(np.float64))[network.output]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    seen = decisions(network.path, ROWS | {"attention_mask": np.ones_like(ROWS["attention_mask"])})
    assert np.abs(seen - expected).max() > 0.1


@pytest.mark.parametrize("mask", MASKS)
def test_jacobians_are_those_of_differences_through_onnxruntime(tmp_path: Path, mask: Mask) -> None:
    network = load(transformer(tmp_path / "net.onnx", mask))
    index, x = np.arange(40), packed(network, ROWS)
    programme = Programme("affine", 1, exact_pairs=False, exact_output=False, radius=0.1, output_only=False, seed=3)
    engines = NumpyEngine(network, programme), OnnxruntimeEngine(network, programme, CPU, 1)
    norms = [np.sqrt(engine.measure(index, x).jacobian_squared) for engine in engines]
    forward = linearise(network.cast(np.float32), x.astype(np.float32), [layer.output for layer in network.layers])
    compared = 0
    for layer in network.layers[:-1]:
        targets = [j for j in range(layer.index + 1, network.depth + 1) if network.has_path(layer.index, j)]
        at = forward.values[layer.output]
        g = normal_noise(3, layer.index, index, 0, int(np.prod(layer.output_shape)))
        tangents = (g / np.linalg.norm(g, axis=1, keepdims=True)).reshape(at.shape).astype(np.float32)
        found = FiniteDifferences(network, layer.output, [network.target(j) for j in targets], CPU)(
            x, at, tangents, 2.0**-8
        )
        smooth = ~found.kinks
        compared += int(smooth.sum())
        for j in targets:
            central = np.linalg.norm(found.values[network.target(j)].reshape(len(x), -1), axis=1)
            for norm in norms:
                expected = norm[:, layer.index - 1, j - 1] / np.linalg.norm(g, axis=1)
                np.testing.assert_allclose(central[smooth], expected[smooth], rtol=1e-2, atol=1e-3)
    assert compared > 60


def test_a_file_and_arrays_and_keys_in_order_are_the_same_rows(tmp_path: Path) -> None:
    network = load(transformer(tmp_path / "net.onnx"))
    y = decisions(network.path).argmax(axis=1)
    np.savez(tmp_path / "named.npz", **ROWS, y=y)
    np.savez(tmp_path / "other.npz", a=ROWS["input_ids"], b=ROWS["attention_mask"], y=y)
    opened = [
        open_rows((ROWS, y), network),
        open_rows(ROWS | {"y": y}, network),
        open_rows(tmp_path / "named.npz", network),
        open_rows(tmp_path / "other.npz", network, x_key="a,b"),
    ]
    for rows in opened:
        (batch,) = rows.batches(40)
        np.testing.assert_array_equal(batch.inputs, np.concatenate(list(ROWS.values()), axis=1))
        np.testing.assert_array_equal(rows.labels, y)
    assert len({rows.fingerprint() for rows in opened}) == 1
    report = analyze(network, opened[0], Settings(measured=20))
    assert report.data.train_error == 0
    assert all(layer.layer_cushion.min > 0 for layer in report.layers)
    assert any("side by side" in note for note in report.coverage.normalised)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ({"input_ids": ROWS["input_ids"]}, {}, "attention_mask"),
        (ROWS | {"input_ids": ROWS["input_ids"][:, :5]}, {}, "expected rows (6,), found (5,)"),
        (ROWS | {"input_ids": ROWS["input_ids"][:30]}, {}, "30 rows, another input has 40"),
        (ROWS, {"x_key": "input_ids"}, "1 arrays for 2 inputs"),
        (ROWS, {"x_key": "input_ids,input_ids"}, "1 arrays for 2 inputs"),
        (ROWS, {"x_key": "input_ids,masks"}, "'masks'"),
        (np.zeros((40, 12), np.int64), {}, "2 inputs per row"),
        (ROWS | {"input_ids": ROWS["input_ids"] + 0.5}, {}, "does not fit into int64"),
    ],
)
def test_arrays_that_are_not_those_of_the_model(
    tmp_path: Path, data: object, options: dict[str, str], words: str
) -> None:
    network = load(transformer(tmp_path / "net.onnx"))
    with pytest.raises(DataError) as caught:
        open_rows((data, np.zeros(40, int)), network, **options)  # type: ignore[arg-type]
    text = f"{caught.value} " + " ".join(f"{p.where} {p.why} {p.do}" for p in caught.value.problems)
    assert words in text


def test_labels_are_no_input_whatever_the_model_calls_its_inputs(tmp_path: Path) -> None:
    network = load(transformer(tmp_path / "net.onnx", names=("input_ids", "y")))
    with pytest.raises(DataError) as caught:
        open_rows({"input_ids": ROWS["input_ids"], "y": np.zeros((40, LENGTH), np.int64)}, network)
    assert any("it holds the labels" in problem.why for problem in caught.value.problems)


def test_types_are_cast_exactly_or_refused(tmp_path: Path) -> None:
    network = load(transformer(tmp_path / "net.onnx", types=(INT32, INT32)))
    assert network.input_type == np.int32
    np.testing.assert_array_equal(packed(network, ROWS), np.concatenate(list(ROWS.values()), axis=1))
    large = ROWS["input_ids"].copy()
    large[17, 2] = 2**31
    with pytest.raises(DataError, match=r"from 0 to 2,147,483,648, the model's input has int32"):
        packed(network, ROWS | {"input_ids": large})
    mixed = load(transformer(tmp_path / "mixed.onnx", types=(INT32, FLOAT)))
    rows = ROWS | {"input_ids": ROWS["input_ids"].astype(np.int32), "attention_mask": ROWS["attention_mask"] * 1.0}
    expected = decisions(mixed.path, rows | {"attention_mask": rows["attention_mask"].astype(np.float32)})
    found = all_values(mixed.cast(np.float64), packed(mixed, rows).astype(np.float64))[mixed.output]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    large[17, 2] = 2**24 + 1
    with pytest.raises(DataError, match="float32 cannot represent"):
        packed(mixed, rows | {"input_ids": large})


def test_lengths_that_the_file_leaves_open_are_those_of_the_arrays(tmp_path: Path) -> None:
    path = transformer(tmp_path / "net.onnx", length="tokens")
    with pytest.raises(OnnxboundError):
        load(path)
    network = load(path, input_shape={"input_ids": (LENGTH,), "attention_mask": (LENGTH,)})
    assert network.input_shape == (2 * LENGTH,)


def test_holdout_certificates_hold_for_them(tmp_path: Path) -> None:
    rows = sentences(400)
    network = load(transformer(tmp_path / "net.onnx"))
    y = decisions(network.path, rows).argmax(axis=1)
    y[:30] = (y[:30] + 1) % 3
    opened = open_rows((rows, y), network)
    made = certify(network, None, tmp_path / "made", holdout=opened)
    assert made.document["errors"] == 30
    assert verify(tmp_path / "made", holdout=opened, model=network).errors == 30
    np.savez(tmp_path / "named.npz", **rows, y=y)
    words = ("verify", tmp_path / "made", "--holdout", tmp_path / "named.npz", "--model", network.path)
    assert onnxbound(*words, "--x-key", "input_ids,attention_mask").code == 0
    # The model's names do not choose what it is tested on.
    assert "in the order input_ids, attention_mask: --x-key" in onnxbound(*words).stderr
    swapped = onnxbound(*words, "--x-key", "attention_mask,input_ids")
    assert swapped.code == 1
    assert "certificate-mismatch" in swapped.stderr
