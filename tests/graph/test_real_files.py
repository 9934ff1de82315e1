"""Files from other people's exporters: the network's logits are onnxruntime's."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from onnxbound.graph.load import load
from onnxbound.linear.linearisation import linearise
from tests.oracle.models import fixtures

FOLDER = Path(os.environ.get("ONNXBOUND_TEST_DATA", "")) / "models"
FILES = sorted(FOLDER.glob("*.onnx")) if "ONNXBOUND_TEST_DATA" in os.environ else []
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
