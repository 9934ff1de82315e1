"""Formats that extras read give the same rows as an npz file, and hostile ones are refused."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.data.rows import Rows
from onnxbound.errors import DataError
from tests.data.conftest import MakeNetwork

h5py = pytest.importorskip("h5py", reason="the extra hdf5 is not installed")
pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
Image = pytest.importorskip("PIL.Image", reason="the extra images is not installed")

RANDOM = np.random.default_rng(5)
PIXELS = Preprocessing(scale=1 / 255)
IMAGES = RANDOM.integers(0, 256, (30, 5, 6, 3), np.uint8)
LABELS = RANDOM.permutation(np.arange(30) % 4)


def require_rows(rows: Rows, x: np.ndarray, labels: np.ndarray = LABELS) -> None:
    batches = list(rows.batches(7))
    np.testing.assert_array_equal(rows.array.take(np.arange(len(x))), x)
    np.testing.assert_array_equal(np.concatenate([b.labels for b in batches]), labels)
    few = np.array([1, 2, 11, 29])
    np.testing.assert_array_equal(rows.array.take(few), x[few])


@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunks": (4, 5, 6, 3)}, {"chunks": (30, 5, 1, 1)}])
@pytest.mark.parametrize("keys", [("x", "y"), ("x_train", "y_train")])
def test_hdf5(tmp_path: Path, network: MakeNetwork, options: dict[str, object], keys: tuple[str, str]) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset(keys[0], data=IMAGES, **options)
        file[keys[1]] = LABELS
        file["names"] = ["a", "b"]
    require_rows(open_rows(tmp_path / "d.h5", network(5, 6, 3), PIXELS), IMAGES)


def test_hdf5_in_groups(tmp_path: Path, network: MakeNetwork) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["train/pixels"], file["train/classes"] = IMAGES, LABELS
    keys = {"x_key": "train/pixels", "y_key": "train/classes"}
    require_rows(open_rows(tmp_path / "d.h5", network(5, 6, 3), PIXELS, **keys), IMAGES)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_columns_of_numbers(tmp_path: Path, network: MakeNetwork, suffix: str) -> None:
    x = RANDOM.normal(size=(30, 6)).astype(np.float32)
    table = pa.table({"label": LABELS} | {f"feature{k}": x[:, k] for k in range(6)})
    write_table(table, tmp_path / f"d.{suffix}")
    require_rows(open_rows(tmp_path / f"d.{suffix}", network(6)), x)


@pytest.mark.parametrize("fixed", [False, True])
def test_columns_of_lists(tmp_path: Path, network: MakeNetwork, fixed: bool) -> None:
    x = RANDOM.normal(size=(30, 4, 3)).astype(np.float32)
    inner = pa.list_(pa.float32(), 3) if fixed else pa.list_(pa.float32())
    column = pa.array(x.tolist(), pa.list_(inner, 4) if fixed else pa.list_(inner))
    write_table(pa.table({"x": column, "id": np.arange(30), "label": LABELS}), tmp_path / "d.parquet")
    require_rows(open_rows(tmp_path / "d.parquet", network(4, 3)), x)


@pytest.mark.parametrize("struct", [False, True])
def test_columns_of_images(tmp_path: Path, network: MakeNetwork, struct: bool) -> None:
    encoded = [png(image) for image in IMAGES]
    column = pa.array([{"bytes": code, "path": None} for code in encoded] if struct else encoded)
    write_table(pa.table({"image": column, "label": LABELS}), tmp_path / "d.parquet")
    require_rows(open_rows(tmp_path / "d.parquet", network(5, 6, 3), PIXELS), IMAGES)


@pytest.mark.parametrize("below", ["", "train"])
def test_folders_of_images(tmp_path: Path, network: MakeNetwork, below: str) -> None:
    order = np.argsort(LABELS, kind="stable")
    for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        folder = tmp_path / "d" / below / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:03}.png").write_bytes(png(image))
        (folder / "notes.txt").write_text("no image")
    require_rows(open_rows(tmp_path / "d", network(5, 6, 3), PIXELS), IMAGES[order], LABELS[order])


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def write_table(table: object, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=11)
        return
    with pa.ipc.new_file(str(path), table.schema) as writer:  # type: ignore[attr-defined]
        writer.write_table(table, max_chunksize=11)


@pytest.mark.parametrize(
    ("module", "file", "extra"),
    [("h5py", "d.h5", "hdf5"), ("pyarrow", "d.parquet", "parquet"), ("PIL.Image", "folder", "images")],
)
def test_a_missing_package_is_named(
    tmp_path: Path, network: MakeNetwork, monkeypatch: pytest.MonkeyPatch, module: str, file: str, extra: str
) -> None:
    (tmp_path / "folder" / "a").mkdir(parents=True)
    (tmp_path / "folder" / "a" / "1.png").write_bytes(png(IMAGES[0]))
    (tmp_path / "d.h5").write_bytes(b"x")
    (tmp_path / "d.parquet").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=f"needs the extra '{extra}'") as caught:
        open_rows(tmp_path / file, network(5, 6, 3), PIXELS)
    assert caught.value.code == "data-extra"
    assert caught.value.problems[0].do == f"pip install '.[{extra}]' in the clone of onnxbound"


def _no_hdf5(path: Path) -> Path:
    path.with_suffix(".h5").write_bytes(b"no hdf5 at all")
    return path.with_suffix(".h5")


def _no_parquet(path: Path) -> Path:
    path.with_suffix(".parquet").write_bytes(b"PAR1 no parquet at all PAR1")
    return path.with_suffix(".parquet")


def _hdf5_bomb(path: Path) -> Path:
    """A trillion entries that were never written."""
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_dataset("x", (1 << 34, 5, 6, 3), np.uint8, chunks=(64, 5, 6, 3), fillvalue=7)
        file["y"] = LABELS
    return path.with_suffix(".h5")


def _hdf5_elsewhere(path: Path) -> Path:
    (path.parent / "secret").write_bytes(bytes(2700))
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_dataset("x", (30, 5, 6, 3), np.uint8, external=[(str(path.parent / "secret"), 0, 2700)])
        file["y"] = LABELS
    return path.with_suffix(".h5")


def _ragged(path: Path) -> Path:
    write_table(
        pa.table({"x": [[1.0] * (k % 3 + 1) for k in range(30)], "label": LABELS}), path.with_suffix(".parquet")
    )
    return path.with_suffix(".parquet")


def _missing_values(path: Path) -> Path:
    write_table(pa.table({"x": [None] + [[1.0]] * 29, "label": LABELS}), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def _no_image(path: Path) -> Path:
    (path / "a").mkdir(parents=True)
    (path / "a" / "1.png").write_bytes(b"\x89PNG no image")
    return path


def _two_sizes(path: Path) -> Path:
    (path / "a").mkdir(parents=True)
    (path / "a" / "1.png").write_bytes(png(IMAGES[0]))
    (path / "a" / "2.png").write_bytes(png(IMAGES[0][:4]))
    return path


def _vast(path: Path) -> Path:
    (path / "a").mkdir(parents=True)
    Image.new("L", (5000, 10)).save(path / "a" / "1.png")
    return path


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_no_hdf5, "not an HDF5 file"),
        (_no_parquet, "cannot be opened"),
        (_hdf5_bomb, "which only happens in a file made to fill a disk"),
        (_hdf5_elsewhere, "its values lie in other files"),
        (_ragged, "differ in length"),
        (_missing_values, "rows without a value"),
        (_no_image, "is in none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"),
        (_two_sizes, "the first one (5, 6, 3)"),
        (_vast, "5000 x 10 pixels"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, network: MakeNetwork, make: Callable[[Path], Path], why: str) -> None:
    with pytest.raises(DataError) as caught:
        open_rows(make(tmp_path / "data"), network(5, 6, 3), PIXELS)
    assert caught.value.code == "data-invalid"
    assert why in caught.value.problems[0].why


def test_links_in_an_hdf5_file_are_not_followed(tmp_path: Path, network: MakeNetwork) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"], file["y"] = IMAGES, LABELS
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"], file["y"] = h5py.ExternalLink("other.h5", "x"), LABELS
    with pytest.raises(DataError) as caught:
        open_rows(tmp_path / "d.h5", network(5, 6, 3), PIXELS)
    assert caught.value.code == "data-key"


def test_a_folder_without_classes(tmp_path: Path, network: MakeNetwork) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.png").write_bytes(png(IMAGES[0]))
    with pytest.raises(DataError, match="no folders of images, one per class") as caught:
        open_rows(tmp_path / "d", network(5, 6, 3), PIXELS)
    assert caught.value.code == "data-key"
