"""Data files that ask for more than they bring are refused before memory or disk is spent."""

import io
import os
import signal
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from onnxbound.data import array_file
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.errors import DataError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.nets import random_mlp

MEMORY = 16 << 20


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return load(random_mlp(tmp_path / "net.onnx", [6, 5, 4]))


def header(shape: tuple[int, ...], *, fortran: bool = False, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    text += b" " * (-len(text) % 64 + 53) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def npz(path: Path, member: bytes, *, compressed: bool = False) -> Path:
    labels = io.BytesIO()
    np.save(labels, np.zeros(30, np.int64))
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("x.npy", member)
        archive.writestr("y.npy", labels.getvalue())
    return path


def refused(path: Path, network: Network) -> str:
    """What the error says; nothing is left on disk, and little was taken of memory."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            open_rows(path, network)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == "data-invalid"
    assert peak < MEMORY
    return caught.value.problems[0].why


def test_a_bomb_is_not_unpacked(tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 MB of zeros in 30 kB, and the limit above which that counts moved down to 16 MB."""
    monkeypatch.setattr(array_file, "_MODERATE_BYTES", 16 << 20)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("it was unpacked"))
    rows = 1 << 20
    path = npz(tmp_path / "bomb.npz", header((rows, 6)) + bytes(24 * rows), compressed=True)
    assert path.stat().st_size < 100_000
    assert "which only happens in a file made to fill a disk" in refused(path, network)


def test_compressed_rows_that_are_real_are_unpacked(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_file, "_MODERATE_BYTES", 1)
    values = np.random.default_rng(0).integers(0, 4, (30, 6)).astype(np.float32)
    np.savez_compressed(tmp_path / "rows.npz", x=values, y=np.zeros(30, np.int64))
    batch = next(open_rows(tmp_path / "rows.npz", network).batches(30))
    np.testing.assert_array_equal(batch.inputs, values)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "shape", [(1 << 40, 6), (1 << 62, 1 << 62), (3, 6), (31, 6), (-1, 6), (1 << 63, 2), (0, 1 << 62)]
)
def test_shapes_that_are_not_those_of_the_content(
    tmp_path: Path, network: Network, shape: tuple[int, ...], compressed: bool
) -> None:
    path = npz(tmp_path / "rows.npz", header(shape) + bytes(24 * 30), compressed=compressed)
    why = refused(path, network)
    assert "where its header declares" in why or "declares the shape" in why


@pytest.mark.parametrize("fortran", [False, True])
def test_npy_shorter_than_its_header_says(tmp_path: Path, network: Network, fortran: bool) -> None:
    path = tmp_path / "rows.npy"
    path.write_bytes(header((1 << 40, 6), fortran=fortran) + bytes(240))
    np.save(tmp_path / "y.npy", np.zeros(10, np.int64))
    tracemalloc.start()
    with pytest.raises(DataError) as caught:
        open_rows(path, network, labels=tmp_path / "y.npy")
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()
    assert (caught.value.code, caught.value.problems[0].why) == ("data-invalid", "the file is truncated")


def test_two_arrays_of_one_name(tmp_path: Path, network: Network) -> None:
    path = npz(tmp_path / "rows.npz", header((30, 6)) + bytes(24 * 30))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x.npy", header((30, 6)) + bytes(24 * 30))
    assert refused(path, network) == "it holds two arrays of one name"


def test_more_arrays_than_anyone_looks_through(tmp_path: Path, network: Network) -> None:
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        for k in range(10_001):
            archive.writestr(f"{k}.npy", b"")
    assert "10001 arrays" in refused(tmp_path / "rows.npz", network)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs in folders")
@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.h5", "x.parquet", "x.arrow", "images/a.png"])
def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path, network: Network, name: str) -> None:
    path = tmp_path / name
    for suffix, package in {"h5": "h5py", "png": "PIL", "parquet": "pyarrow", "arrow": "pyarrow"}.items():
        if name.endswith(suffix):
            pytest.importorskip(package)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    signal.alarm(60)  # whoever waits is ended
    try:
        with pytest.raises(DataError, match="is not a file") as caught:
            open_rows(tmp_path / name.partition("/")[0], network, Preprocessing(scale=1.0), labels=tmp_path / "y.npy")
    finally:
        signal.alarm(0)
    assert caught.value.code == "data-not-found"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs in folders")
def test_labels_in_a_fifo_are_refused(tmp_path: Path, network: Network) -> None:
    np.save(tmp_path / "x.npy", np.zeros((30, 6), np.float32))
    os.mkfifo(tmp_path / "y.npy")
    signal.alarm(60)
    try:
        with pytest.raises(DataError, match="is not a file"):
            open_rows(tmp_path / "x.npy", network, labels=tmp_path / "y.npy")
    finally:
        signal.alarm(0)
