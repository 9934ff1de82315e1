"""Rows from arrays are those of a file with the same arrays, to the bit, and nothing large is copied."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.settings import Settings
from onnxbound.data.open import IN_MEMORY, open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.errors import DataError, UsageError
from onnxbound.graph.load import load
from tests.data.conftest import MakeNetwork
from tests.nets import random_mlp

RANDOM = np.random.default_rng(2)
IMAGES = RANDOM.integers(0, 256, (30, 5, 6, 3), np.uint8)
LABELS = np.arange(30) % 4
PIXELS = Preprocessing(1 / 255, (0.5, 0.4, 0.3), 0.25, "nhwc")


class Tensor:
    """What another library's arrays look like to NumPy."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        assert not copy
        return self.values


@pytest.mark.parametrize("limit", [None, 11])
@pytest.mark.parametrize(
    "given",
    [
        (IMAGES, LABELS),
        (np.asfortranarray(IMAGES), LABELS.astype(np.uint8)[:, None]),
        (Tensor(IMAGES), LABELS.tolist()),
        {"pictures": IMAGES[:3], "x": IMAGES, "y": LABELS},
        {"images_train": IMAGES, "labels_train": LABELS, "images_test": IMAGES[:4], "labels_test": LABELS[:4]},
    ],
)
def test_arrays_are_read_like_a_file_that_holds_them(
    tmp_path: Path, network: MakeNetwork, given: Any, limit: int | None
) -> None:
    net = network(3, 5, 6)
    np.savez(tmp_path / "d.npz", x=IMAGES, y=LABELS)
    stored = open_rows(tmp_path / "d.npz", net, PIXELS, limit=limit, seed=1)
    held = open_rows(given, net, PIXELS, limit=limit, seed=1)
    assert held.fingerprint() == stored.fingerprint()
    assert (held.path, stored.path) == (IN_MEMORY, str(tmp_path / "d.npz"))
    for mine, other in zip(held.batches(7), stored.batches(7), strict=True):
        for name in ("index", "inputs", "labels"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))


def test_the_report_of_arrays_is_that_of_their_file(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "n.onnx", [6, 5, 4]))
    x = RANDOM.normal(size=(30, 6)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=LABELS)
    few = Settings(measured=4, probes=1, engine="numpy", threads=1)
    reports = [analyze(network, open_rows(data, network), few) for data in ((x, LABELS), tmp_path / "d.npz")]
    assert reports[0].data.path == "arrays in memory"
    assert reports[0].data.sha256 == reports[1].data.sha256
    assert reports[0].layers == reports[1].layers


def test_rows_without_labels(network: MakeNetwork) -> None:
    net = network(3, 5, 6)
    for data, options in (((IMAGES, None), {}), ((IMAGES, LABELS), {"labelled": False}), (IMAGES, {"labelled": False})):
        assert open_rows(data, net, PIXELS, **options).labels.tolist() == [0] * 30  # type: ignore[arg-type]
    with pytest.raises(DataError, match="`data` has no labels") as caught:
        open_rows(IMAGES, net, PIXELS)
    assert caught.value.problems[0].do == "give `labels`"


def test_labels_beside_the_data_take_precedence(tmp_path: Path, network: MakeNetwork) -> None:
    net, other = network(3, 5, 6), LABELS[::-1]
    np.savez(tmp_path / "d.npz", x=IMAGES, y=LABELS)
    np.save(tmp_path / "y.npy", other)
    for data in (tmp_path / "d.npz", (IMAGES, LABELS), (IMAGES, None), IMAGES):
        for labels in (other, tmp_path / "y.npy"):
            np.testing.assert_array_equal(open_rows(data, net, PIXELS, labels=labels).labels, other)


def test_nothing_large_is_copied(network: MakeNetwork) -> None:
    values = np.zeros((20_000, 5, 6, 3))
    labels, net = np.zeros(20_000, np.int64), network(5, 6, 3)
    tracemalloc.start()
    rows = open_rows((values, labels), net)
    rows.fingerprint()
    for _ in rows.batches(64):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 4
    assert np.shares_memory(rows.array.values, values)  # type: ignore[union-attr]


def test_a_batch_is_not_a_view_of_the_callers_array(network: MakeNetwork) -> None:
    values = RANDOM.normal(size=(8, 5, 6, 3)).astype(np.float32)
    batch = next(open_rows((values, LABELS[:8]), network(5, 6, 3)).batches(8))
    assert not np.shares_memory(batch.inputs, values)


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (([[1.0], [1.0, 2.0]], [0, 1]), "data-invalid", "`data[0]` cannot be read."),
        ((np.array([{}] * 30), LABELS), "data-type", "`data[0]` has the element type object"),
        ((IMAGES, LABELS[:9]), "data-labels", "The labels in `data[1]`"),
        ((IMAGES, LABELS.astype(float)), "data-labels", "The labels in `data[1]`"),
        ((IMAGES[:0], LABELS[:0]), "data-empty", "`data[0]` has no rows."),
        (
            {"a": IMAGES, "b": IMAGES, "y": LABELS},
            "data-key",
            "It is not clear which array of `data` holds the inputs.",
        ),
        ((3.0, LABELS), "data-shape", "`data[0]` is a single number."),
    ],
)
def test_arrays_that_do_not_fit(network: MakeNetwork, data: Any, code: str, message: str) -> None:
    shape = (1,) if code in ("data-invalid", "data-type") else (3, 5, 6)
    options = None if code in ("data-invalid", "data-type") else PIXELS
    with pytest.raises(DataError) as caught:
        open_rows(data, network(*shape), options)
    assert (caught.value.code, message) == (code, caught.value.message[: len(message)])


def test_a_tuple_that_is_no_pair(network: MakeNetwork) -> None:
    with pytest.raises(UsageError, match="`data` takes a pair"):
        open_rows((IMAGES, LABELS, LABELS), network(3, 5, 6), PIXELS)  # type: ignore[arg-type]
