"""The stored oracle arrays and the fixtures belong together: seen through onnxruntime, without PyTorch."""

import os

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.oracle.models import FIXTURES, Model, fixtures, public_models, stored

PUBLIC = [pytest.param(model, id=model.name) for model in public_models()]
if not PUBLIC:
    reason = "ONNXBOUND_TEST_DATA names no folder with models/manifest.json and the full data sets"
    PUBLIC = [pytest.param(None, id="public", marks=pytest.mark.skip(reason=reason))]


@pytest.mark.parametrize("model", [*(pytest.param(model, id=model.name) for model in fixtures()), *PUBLIC])
def test_stored_logits_and_margins_are_onnxruntimes(model: Model) -> None:
    arrays = stored(model.name)
    x, labels = model.rows(arrays["index"])
    session = onnxruntime.InferenceSession(os.fspath(model.path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    logits = np.concatenate([session.run(None, {name: row[None]})[0] for row in x])
    tolerance = 1e-5 * np.abs(logits).max()
    np.testing.assert_allclose(arrays["logits"], logits, rtol=0, atol=tolerance)
    rows = np.arange(len(labels))
    others = np.where(np.eye(logits.shape[1], dtype=bool)[labels], -np.inf, logits)
    np.testing.assert_allclose(arrays["margin"], logits[rows, labels] - others.max(axis=1), atol=2 * tolerance)


@pytest.mark.parametrize("model", fixtures(), ids=lambda model: model.name)
def test_fixtures_are_small_and_say_nothing_of_the_machine_that_made_them(model: Model) -> None:
    assert model.path.stat().st_size < 300_000
    proto = onnx.load(model.path)
    assert proto.ir_version <= 9
    assert not proto.doc_string
    assert not proto.metadata_props
    assert not any(node.doc_string or node.metadata_props for node in proto.graph.node)


def test_shuffled_labels_are_as_many_as_the_rows_and_not_the_true_ones() -> None:
    labels = np.load(FIXTURES / "data" / "cifar10_shuffled_labels.npy", allow_pickle=False)
    with np.load(FIXTURES / "data" / "cifar10.npz", allow_pickle=False) as data:
        true = data["y_train"]
    assert labels.shape == true.shape
    # 600 rows agree with probability 1/10 each: 60 +- 7.3; 100 is 5.4 standard deviations away.
    assert np.count_nonzero(labels == true) < 100
