"""Files from other people's exporters: the network's logits are onnxruntime's."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.values import all_values
from tests.oracle.models import fixtures

FOLDER = Path(os.environ.get("ONNXBOUND_TEST_DATA", "")) / "models"
FILES = sorted(FOLDER.rglob("*.onnx")) if "ONNXBOUND_TEST_DATA" in os.environ else []
READABLE = [pytest.param(path, id=path.stem) for path in FILES]
if not READABLE:
    _absent = pytest.mark.skip(reason="ONNXBOUND_TEST_DATA names no folder with models/*.onnx")
    READABLE = [pytest.param(None, id="public", marks=_absent)]


@pytest.mark.parametrize("path", [*(pytest.param(m.path, id=m.name) for m in fixtures()), *READABLE])
def test_logits_are_onnxruntimes(path: Path) -> None:
    network = load(path)
    x = np.random.default_rng(0).uniform(size=(4, *network.input_shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    runs = [session.run(None, {network.input: row[None] if len(shape) > x.ndim - 1 else row})[0] for row in x]
    expected = np.concatenate([run.reshape(1, -1) for run in runs])
    found = linearise(network.cast(np.float32), x, {network.output}).values[network.output]
    if network.head is None:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    else:
        np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("path", [*(pytest.param(m.path, id=m.name) for m in fixtures()), *READABLE])
def test_decisions_are_those_of_every_output_of_the_file(path: Path) -> None:
    """Of rows at several scales, by logits, probabilities and labels; rows whose best two nearly tie are left out."""
    network = load(path, input_shape=lambda _, lengths: [n or 96 for n in lengths])
    x = rows_at_several_scales(network)
    logits = np.concatenate([all_values(network.cast(np.float32), row[None])[network.output] for row in x])
    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    (given,) = [value for value in session.get_inputs() if value.name == network.input]
    names = [value.name for value in session.get_outputs() if value.type.startswith("tensor")]
    batch = network.batch or 1
    compared = 0
    for row, own in zip(x, logits, strict=True):
        one, two = np.sort(own)[-2:]
        if two - one <= 1e-4 * np.abs(own).max():
            continue
        rows = np.repeat(row[None], batch, axis=0) if len(given.shape) > row.ndim else row
        for values in session.run(names, {network.input: rows}):
            delivered = decision(np.asarray(values)[:1], network)
            if delivered is not None:
                assert delivered == network.class_labels[int(own.argmax())]
                compared += 1
    assert compared >= len(x) // 2


def rows_at_several_scales(network: Network) -> NDArray[Any]:
    """32 rows, the integers of tokens or pixels, or noise and patches of it."""
    random = np.random.default_rng(1)
    if network.input_type.kind in "iu":
        return random.integers(0, 200, (32, *network.input_shape)).astype(network.input_type)
    rows = random.normal(size=(32, *network.input_shape)) + random.normal(size=(32, *(1,) * len(network.input_shape)))
    scales = np.resize([0.3, 1, 3, 50], 32).reshape(-1, *(1,) * len(network.input_shape))
    return np.asarray(rows * scales, network.input_type)


def decision(values: NDArray[Any], network: Network) -> int | str | None:
    """What one output says of a row: its label, or that of the largest entry; None of an output that is neither."""
    if values.dtype.kind in "iuOU" and values.size == 1:
        return values.ravel()[0] if values.dtype.kind in "OU" else int(values.ravel()[0])
    if values.dtype.kind != "f" or values.size not in (1, network.classes):
        return None
    if values.size == 1:
        return None if network.classes != 2 else network.class_labels[int(values.ravel()[0] > 0.5)]
    return network.class_labels[int(values.argmax())]
