"""Files that fit are read as plain NumPy would; files that do not are refused with the parameter that would help."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.data.rows import Rows
from onnxbound.errors import DataError, UsageError
from tests.data.conftest import MakeNetwork

IMAGES = np.random.default_rng(0).integers(0, 256, size=(10, 5, 6, 3), dtype=np.uint8)
LABELS = np.arange(10) % 4
PIXELS = Preprocessing(scale=1 / 255)


def all_of(rows: Rows, batch: int = 4) -> tuple[np.ndarray, np.ndarray]:
    batches = list(rows.batches(batch))
    return np.concatenate([b.inputs for b in batches]), np.concatenate([b.labels for b in batches])


def refused(code: str, *args: Any, **options: Any) -> str:
    """The message and every problem of the error that opening or reading raises."""
    with pytest.raises(DataError) as caught:
        all_of(open_rows(*args, **options))
    assert (caught.value.code, caught.value.exit_code) == (code, 4)
    assert caught.value.problems
    return " | ".join([caught.value.message, *(f"{p.where}: {p.why}: {p.do}" for p in caught.value.problems)])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("batch", [1, 3, 10, 64])
def test_npz_is_streamed_as_numpy_reads_it(tmp_path: Path, network: MakeNetwork, save: Any, batch: int) -> None:
    save(tmp_path / "s.npz", x_train=IMAGES, y_train=LABELS.astype(np.uint8), x_test=IMAGES[:2], y_test=LABELS[:2])
    options = Preprocessing(1 / 255, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "nhwc")
    rows = open_rows(tmp_path / "s.npz", network(3, 5, 6), options)
    x, y = all_of(rows, batch)
    expected = (IMAGES.astype(np.float64) * (1 / 255) - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    np.testing.assert_array_equal(x, expected.transpose(0, 3, 1, 2).astype(np.float32))
    np.testing.assert_array_equal(y, LABELS)
    assert x.dtype == np.float32
    assert (rows.count, rows.total, y.dtype) == (10, 10, np.int64)


def test_role_decides_between_train_and_test(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:3], y_test=LABELS[:3])
    net = network(5, 6, 3)
    assert open_rows(tmp_path / "s.npz", net, PIXELS).count == 10
    assert open_rows(tmp_path / "s.npz", net, PIXELS, role="test").count == 3


def test_some_rows_by_their_index(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    rows = open_rows(tmp_path / "s.npz", network(5, 6, 3), PIXELS)
    index = np.array([0, 3, 4, 5, 9])
    batches = list(rows.batches(2, index))
    np.testing.assert_array_equal(np.concatenate([b.index for b in batches]), index)
    np.testing.assert_array_equal(np.concatenate([b.labels for b in batches]), LABELS[index])
    expected = (IMAGES[index] * np.float64(1 / 255)).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate([b.inputs for b in batches]), expected)


def test_limit_draws_without_replacement_by_the_seed(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    net = network(5, 6, 3)
    drawn = [open_rows(tmp_path / "s.npz", net, PIXELS, limit=6, seed=seed) for seed in (1, 1, 2)]
    assert [len(set(rows.index.tolist())) for rows in drawn] == [6, 6, 6]
    np.testing.assert_array_equal(drawn[0].index, drawn[1].index)
    assert drawn[0].index.tolist() != drawn[2].index.tolist()
    _, labels = all_of(drawn[0])
    np.testing.assert_array_equal(labels, LABELS[drawn[0].index])
    with pytest.raises(UsageError, match="`limit` must be at least 1, not 0"):
        open_rows(tmp_path / "s.npz", net, PIXELS, limit=0)
    with pytest.raises(UsageError, match="`labels_start` must be an integer of 32 bits"):
        open_rows(tmp_path / "s.npz", net, PIXELS, labels_start=10**20)


def test_npy_pair_and_labels_that_override_those_of_an_npz(tmp_path: Path, network: MakeNetwork) -> None:
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "y.npy", LABELS[::-1])
    np.savez(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    net = network(5, 6, 3)
    for data in ("x.npy", "s.npz"):
        _, labels = all_of(open_rows(tmp_path / data, net, PIXELS, labels=tmp_path / "y.npy"))
        np.testing.assert_array_equal(labels, LABELS[::-1])
    assert "give `labels`" in refused("data-key", tmp_path / "x.npy", net, PIXELS)


def test_axes_of_length_one_come_and_go(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES[..., 0], y=LABELS[:, None])
    x, labels = all_of(open_rows(tmp_path / "s.npz", network(1, 5, 6), PIXELS))
    assert x.shape == (10, 1, 5, 6)
    np.testing.assert_array_equal(labels, LABELS)


def test_flat_layout_keeps_the_order_of_the_file(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    options = Preprocessing(1 / 255, (0.5, 0.4, 0.3), (1.0,), "flat")
    x, _ = all_of(open_rows(tmp_path / "s.npz", network(90), options))
    expected = (IMAGES * np.float64(1 / 255) - [0.5, 0.4, 0.3]).reshape(10, 90).astype(np.float32)
    np.testing.assert_array_equal(x, expected)


def test_nchw_file_for_an_nhwc_model(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES.transpose(0, 3, 1, 2), y=LABELS)
    x, _ = all_of(open_rows(tmp_path / "s.npz", network(5, 6, 3), Preprocessing(1.0, layout="nchw")))
    np.testing.assert_array_equal(x, IMAGES)


def test_fortran_order_is_read_too(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=np.asfortranarray(IMAGES), y=LABELS)
    x, _ = all_of(open_rows(tmp_path / "s.npz", network(5, 6, 3), Preprocessing(1.0)))
    np.testing.assert_array_equal(x, IMAGES)


def test_uint8_model_takes_uint8_rows_as_they_are(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    net = network(5, 6, 3, input_type=TensorProto.UINT8)
    x, _ = all_of(open_rows(tmp_path / "s.npz", net))
    np.testing.assert_array_equal(x, IMAGES)
    assert x.dtype == np.uint8
    assert "leave `scale`, `mean` and `std` out" in refused("data-type", tmp_path / "s.npz", net, PIXELS)


def test_fingerprint_depends_on_values_and_not_on_packing(tmp_path: Path, network: MakeNetwork) -> None:
    changed = IMAGES.copy()
    changed[9, 0, 0, 0] ^= 1
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    np.savez_compressed(tmp_path / "b.npz", x=np.asfortranarray(IMAGES), y=LABELS.astype(np.uint8))
    np.savez(tmp_path / "c.npz", x=changed, y=LABELS)
    np.savez(tmp_path / "d.npz", x=IMAGES, y=(LABELS + 1) % 4)
    net = network(5, 6, 3)
    prints = [open_rows(tmp_path / f"{name}.npz", net, PIXELS).fingerprint() for name in "abcd"]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 30),
    batch=st.integers(1, 12),
    chosen=st.sets(st.integers(0, 29)),
    compressed=st.booleans(),
    dtype=st.sampled_from([np.uint8, np.int16, np.float16, np.float64, np.dtype(">f4")]),
)
def test_any_subset_in_any_batches_equals_plain_numpy(
    tmp_path_factory: pytest.TempPathFactory, rows: int, batch: int, chosen: set[int], compressed: bool, dtype: Any
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    x = np.random.default_rng(rows).integers(0, 100, size=(rows, 2, 3)).astype(dtype)
    (np.savez_compressed if compressed else np.savez)(folder / "s.npz", x=x, y=np.zeros(rows, int))
    net = _network(folder)
    index = np.array(sorted(i for i in chosen if i < rows), np.int64)
    streamed = list(open_rows(folder / "s.npz", net, Preprocessing(0.5)).batches(batch, index))
    expected = (x[index].astype(np.float64) * 0.5).astype(np.float32)
    found = np.concatenate([np.empty((0, 2, 3), np.float32), *(b.inputs for b in streamed)])
    np.testing.assert_array_equal(found, expected)
    assert all(len(b.index) <= batch for b in streamed)


def _network(folder: Path) -> Any:
    from onnx import helper

    from onnxbound.graph.load import load
    from tests.nets import write_model

    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["logits"])]
    return load(write_model(folder / "net.onnx", nodes, {"w": np.ones((6, 4), np.float32)}, ["N", 2, 3]))


def test_missing_and_empty_files(tmp_path: Path, network: MakeNetwork) -> None:
    net = network(5, 6, 3)
    assert "No such file" in refused("data-not-found", tmp_path / "none.npz", net)
    assert "no folders of images, one per class" in refused("data-key", tmp_path, net)
    (tmp_path / "empty.npz").touch()
    assert "the file is empty" in refused("data-invalid", tmp_path / "empty.npz", net)
    (tmp_path / "noise.npz").write_bytes(b"this is not a zip file" * 9)
    assert "not an npz file" in refused("data-invalid", tmp_path / "noise.npz", net)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_truncated_and_damaged_npz(tmp_path: Path, network: MakeNetwork, save: Any) -> None:
    net = network(5, 6, 3)
    save(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    whole = (tmp_path / "s.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    assert "half.npz cannot be read" in refused("data-invalid", tmp_path / "half.npz", net, PIXELS)


def test_damaged_deflated_member(tmp_path: Path, network: MakeNetwork) -> None:
    net = network(5, 6, 3)
    np.savez_compressed(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    damaged = bytearray((tmp_path / "s.npz").read_bytes())
    damaged[700:720] = bytes(20)
    (tmp_path / "s.npz").write_bytes(damaged)
    assert "cannot be read" in refused("data-invalid", tmp_path / "s.npz", net, PIXELS)


def test_member_shorter_than_its_header_says(tmp_path: Path, network: MakeNetwork) -> None:
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "y.npy", LABELS)
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        archive.writestr("x.npy", (tmp_path / "x.npy").read_bytes()[:-100])
        archive.write(tmp_path / "y.npy", "y.npy")
    assert "its header declares" in refused("data-invalid", tmp_path / "s.npz", network(5, 6, 3), PIXELS)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-100])
    message = refused("data-invalid", tmp_path / "x.npy", network(5, 6, 3), PIXELS, labels=tmp_path / "y.npy")
    assert "the file is truncated" in message


def test_pickles_are_never_loaded(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=np.array([{"a": 1}], dtype=object), y=np.zeros(1, int))
    assert "pickled Python objects" in refused("data-invalid", tmp_path / "s.npz", network(5, 6, 3))


def test_no_room_to_unpack(tmp_path: Path, network: MakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    assert "TMPDIR" in refused("data-invalid", tmp_path / "s.npz", network(5, 6, 3), PIXELS)


def test_keys(tmp_path: Path, network: MakeNetwork) -> None:
    net = network(5, 6, 3)
    np.savez(tmp_path / "s.npz", pictures=IMAGES, x2=IMAGES, classes=LABELS)
    message = refused("data-key", tmp_path / "s.npz", net, PIXELS)
    assert "pictures uint8 (10, 5, 6, 3)" in message
    assert message.endswith("name the array with the inputs: `x_key`")
    assert '`y_key="classes"`' in refused("data-key", tmp_path / "s.npz", net, PIXELS, x_key="pictures")
    assert "no array 'nope'" in refused("data-key", tmp_path / "s.npz", net, PIXELS, x_key="nope")
    assert open_rows(tmp_path / "s.npz", net, PIXELS, x_key="x2", y_key="classes").count == 10


def test_two_candidates_of_matching_rank_are_not_guessed_between(tmp_path: Path, network: MakeNetwork) -> None:
    net = network(5, 6, 3)
    np.savez(tmp_path / "two.npz", images=IMAGES, data=IMAGES, y=LABELS)
    assert "It is not clear which array" in refused("data-key", tmp_path / "two.npz", net, PIXELS)
    np.savez(tmp_path / "one.npz", images=IMAGES, data=IMAGES[:, 0, 0], y=LABELS)
    assert open_rows(tmp_path / "one.npz", net, PIXELS).array.shape == IMAGES.shape
    np.savez(tmp_path / "labels.npz", x=IMAGES, y=LABELS.astype(float), label=LABELS)
    assert open_rows(tmp_path / "labels.npz", net, PIXELS).labels.tolist() == LABELS.tolist()


def test_shapes_that_do_not_fit_name_the_layout(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    nchw = refused("data-shape", tmp_path / "s.npz", network(3, 5, 6), PIXELS)
    assert "expected rows (3, 5, 6), found (5, 6, 3)" in nchw
    assert '`layout="nhwc"`' in nchw
    assert '`layout="flat"`' in refused("data-shape", tmp_path / "s.npz", network(90), PIXELS)
    assert "the sizes differ" in refused("data-shape", tmp_path / "s.npz", network(91), PIXELS)
    wrong = Preprocessing(1 / 255, layout="nchw")
    assert '`layout="nhwc"`' in refused("data-shape", tmp_path / "s.npz", network(3, 5, 6), wrong)
    np.savez(tmp_path / "scalar.npz", x=np.float32(1), y=LABELS)
    assert "no axis of rows" in refused("data-shape", tmp_path / "scalar.npz", network(3, 5, 6))


def test_means_that_fit_no_channel_axis(tmp_path: Path, network: MakeNetwork) -> None:
    net = network(5, 6, 3)
    np.savez(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    message = refused("data-shape", tmp_path / "s.npz", net, Preprocessing(1.0, (1.0, 2.0)))
    assert "`mean` has 2 numbers, which fit neither" in message
    np.savez(tmp_path / "cube.npz", x=IMAGES[:, :3, :, :], y=LABELS)
    cube = network(3, 6, 3)
    assert "fit both" in refused("data-shape", tmp_path / "cube.npz", cube, Preprocessing(1.0, std=(1.0, 2.0, 4.0)))


def test_integers_need_a_scale_and_other_types_are_refused(tmp_path: Path, network: MakeNetwork) -> None:
    net = network(5, 6, 3)
    np.savez(tmp_path / "s.npz", x=IMAGES, y=LABELS)
    assert "`scale=1/255`" in refused("data-type", tmp_path / "s.npz", net)
    np.savez(tmp_path / "complex.npz", x=IMAGES.astype(complex), y=LABELS)
    assert "not a real number" in refused("data-type", tmp_path / "complex.npz", net, PIXELS)
    np.savez(tmp_path / "int.npz", x=IMAGES.astype(np.int64), y=LABELS)
    uint8 = network(5, 6, 3, input_type=TensorProto.UINT8)
    np.testing.assert_array_equal(all_of(open_rows(tmp_path / "int.npz", uint8))[0], IMAGES, strict=True)
    np.savez(tmp_path / "large.npz", x=IMAGES.astype(np.int64) + 1, y=LABELS)
    assert "the model's input has uint8" in refused("data-type", tmp_path / "large.npz", uint8)
    np.savez(tmp_path / "float.npz", x=IMAGES.astype(float), y=LABELS)
    assert "does not fit into uint8" in refused("data-type", tmp_path / "float.npz", uint8)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_rows_that_are_not_finite_are_named(tmp_path: Path, network: MakeNetwork, value: float) -> None:
    x = IMAGES.astype(np.float64)
    x[7, 1, 2, 0] = value
    np.savez(tmp_path / "s.npz", x=x, y=LABELS)
    assert "Row 7 of s.npz:x.npy" in refused("data-not-finite", tmp_path / "s.npz", network(5, 6, 3))


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (LABELS + 1, "if the labels start at 1: `labels_start=1`"),
        (LABELS - 1, "row 0 has the label -1"),
        (LABELS * 10, "out of range"),
        (LABELS.astype(np.float32), "their element type is float32"),
        (np.eye(5)[LABELS], "they have 5 columns"),
        (np.ones((10, 4)), "row 0 is not one-hot"),
        (np.full((10, 4), 0.25), "row 0 is not one-hot"),
        (LABELS[:9], "there are 9 labels for 10 rows"),
        (LABELS.reshape(10, 1, 1), "save them with the shape (10,)"),
    ],
)
def test_labels_that_are_not_one_class_per_row(
    tmp_path: Path, network: MakeNetwork, labels: np.ndarray, why: str
) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES, y=labels)
    assert why in refused("data-labels", tmp_path / "s.npz", network(5, 6, 3), PIXELS)


def test_no_rows(tmp_path: Path, network: MakeNetwork) -> None:
    np.savez(tmp_path / "s.npz", x=IMAGES[:0], y=LABELS[:0])
    assert "has no rows" in refused("data-empty", tmp_path / "s.npz", network(5, 6, 3), PIXELS)
