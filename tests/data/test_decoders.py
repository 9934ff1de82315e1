"""What libraries do with bytes from strangers: no program is started, nothing is loaded, and no warning gets away."""

import io
import os
import pickle
import platform
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.data.spool import reading
from onnxbound.errors import DataError
from tests.data.conftest import MakeNetwork

h5py = pytest.importorskip("h5py", reason="the extra hdf5 is not installed")
pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
Image = pytest.importorskip("PIL.Image", reason="the extra images is not installed")
EpsImagePlugin = pytest.importorskip("PIL.EpsImagePlugin", reason="the extra images is not installed")

PIXELS = Preprocessing(scale=1 / 255, layout="nhwc")
PICTURE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
FORMATS = "BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"


def encoded(kind: str, picture: np.ndarray = PICTURE) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind)
    return file.getvalue()


def in_folder(path: Path, content: bytes, name: str = "x.png") -> Path:
    (path / "d" / "a").mkdir(parents=True)
    (path / "d" / "a" / name).write_bytes(content)
    return path / "d"


def in_column(path: Path, content: bytes) -> Path:
    pq.write_table(pa.table({"image": [content], "label": [0]}), path / "d.parquet")
    return path / "d.parquet"


def in_struct(path: Path, content: bytes) -> Path:
    pq.write_table(pa.table({"image": [{"bytes": content, "path": "x.png"}], "label": [0]}), path / "d.parquet")
    return path / "d.parquet"


def refused(network: MakeNetwork, path: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_rows(path, network(6, 5, 3), PIXELS)
    assert caught.value.code == "data-invalid"
    return caught.value.problems[0].why


@pytest.mark.parametrize("place", [in_folder, in_column, in_struct])
@pytest.mark.parametrize("kind", ["EPS", "PCX", "ICO"])
def test_bytes_of_other_formats_reach_no_decoder(
    tmp_path: Path,
    network: MakeNetwork,
    monkeypatch: pytest.MonkeyPatch,
    place: Callable[[Path, bytes], Path],
    kind: str,
) -> None:
    def started(*words: object, **_: object) -> None:
        pytest.fail(f"a program was started: {words}")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", "gs", raising=False)
    assert refused(network, place(tmp_path, encoded(kind))).endswith(f"in none of the formats {FORMATS}")
    if kind == "EPS":
        with pytest.raises(pytest.fail.Exception, match="a program was started"):
            Image.open(io.BytesIO(encoded(kind))).load()


@pytest.mark.parametrize("kind", FORMATS.split(", "))
def test_bytes_of_a_format_that_is_read_under_the_name_of_another(
    tmp_path: Path, network: MakeNetwork, kind: str
) -> None:
    rows = open_rows(in_folder(tmp_path, encoded(kind)), network(6, 5, 3), PIXELS)
    found = rows.array.take(np.array([0]))[0]
    expected = np.asarray(Image.open(io.BytesIO(encoded(kind))).convert("RGB"))
    np.testing.assert_array_equal(found, expected)


def odd_tiff() -> bytes:
    """The tag of the compression has a second entry."""
    content = bytearray(encoded("TIFF"))
    directory = int.from_bytes(content[4:8], "little")
    tags = range(directory + 2, directory + 2 + 12 * content[directory], 12)
    place = next(place for place in tags if int.from_bytes(content[place : place + 2], "little") == 259)
    content[place + 4 : place + 8] = (2).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize("place", [in_folder, in_column])
def test_a_warning_of_a_decoder_is_an_error_of_the_file(
    tmp_path: Path, network: MakeNetwork, place: Callable[[Path, bytes], Path]
) -> None:
    with pytest.warns(UserWarning, match="too many entries"), Image.open(io.BytesIO(odd_tiff())) as image:
        np.testing.assert_array_equal(np.asarray(image), PICTURE)
    path = place(tmp_path, odd_tiff())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever the caller thinks of warnings
        before = warnings.filters[:]
        assert refused(network, path).startswith("an image cannot be decoded: ")
        assert warnings.filters == before


def test_a_truncated_tiff_is_refused_wherever_it_ends(tmp_path: Path, network: MakeNetwork) -> None:
    content = encoded("TIFF")
    folder = in_folder(tmp_path, content, "x.tif")
    open_rows(folder, network(6, 5, 3), PIXELS)
    for length in range(0, len(content) - 1, 5):
        (folder / "a" / "x.tif").write_bytes(content[:length])
        assert "an image" in refused(network, folder)


def test_the_transparency_of_a_palette_is_left_out_as_that_of_rgba(tmp_path: Path, network: MakeNetwork) -> None:
    picture = Image.fromarray(PICTURE).quantize(16)
    file = io.BytesIO()
    picture.save(file, "PNG", transparency=bytes(range(0, 256, 16)))
    rows = open_rows(in_folder(tmp_path, file.getvalue()), network(6, 5, 3), PIXELS)
    np.testing.assert_array_equal(rows.array.take(np.array([0]))[0], np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("kind", [UserWarning, RuntimeWarning, FutureWarning])
def test_warnings_count_as_errors(kind: type[Warning]) -> None:
    with pytest.raises(DataError) as caught:
        warn(kind)
    assert (caught.value.code, caught.value.problems[0].why) == ("data-invalid", "it is odd: beware")


def test_a_deprecation_is_not_of_the_file() -> None:
    warn(DeprecationWarning)


def warn(kind: type[Warning]) -> None:
    """As where Python's own filters hold."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)
        with reading("file", "it is odd"):
            warnings.warn("beware", kind, stacklevel=1)


def test_a_header_of_python_2_is_read_without_a_word(tmp_path: Path, network: MakeNetwork) -> None:
    x = np.random.default_rng(1).random((4, 6), np.float32)
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4L, 6L), }".ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + x.tobytes()
    (tmp_path / "x.npy").write_bytes(content)
    np.save(tmp_path / "y.npy", np.arange(4))
    rows = open_rows(tmp_path / "x.npy", network(6), labels=tmp_path / "y.npy")
    np.testing.assert_array_equal(rows.array.take(np.arange(4)), x)


BLOSC = 32001
IMPORTS = """import sys
from pathlib import Path
from onnxbound.data import hdf5
path = Path(sys.argv[1])"""


def filtered(path: Path) -> Path:
    """Values packed by a filter that is no part of HDF5."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((4, 6))
    properties.set_filter(BLOSC, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    x = np.ones((4, 6), np.float32)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple(x.shape)
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_FLOAT, space, properties).write_direct_chunk((0, 0), x.tobytes())
        file["y"] = np.arange(4)
    return path


def test_filters_that_hdf5_does_not_bring_are_refused(tmp_path: Path, network: MakeNetwork) -> None:
    folders = [h5py.h5pl.get(place) for place in range(h5py.h5pl.size())]
    assert refused(network, filtered(tmp_path / "d.h5")).endswith(f"that are not HDF5's own: [{BLOSC}]")
    assert [h5py.h5pl.get(place) for place in range(h5py.h5pl.size())] == folders


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc says which libraries it loads")
@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("hdf5.Hdf5File(path).open('x')", "that are not HDF5's own"),
        (f"hdf5._BUILT_IN |= {{{BLOSC}}}; hdf5.Hdf5File(path).open('x')", "cannot be unpacked"),
        ("hdf5.extra('h5py', '', '').File(path)['x'][:]", None),
    ],
)
def test_no_library_is_loaded_for_a_filter(tmp_path: Path, read: str, said: str | None) -> None:
    """A plug-in's folder holds something that can be loaded: h5py by itself does so."""
    (tmp_path / "libfilter.so").write_bytes(Path(np._core._multiarray_umath.__file__).read_bytes())
    code = f"{IMPORTS}\ntry:\n    {read}\nexcept Exception as error:\n    print(getattr(error, 'problems', ''))"
    more = {"HDF5_PLUGIN_PATH": str(tmp_path), "LD_DEBUG": "files", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(filtered(tmp_path / "d.h5"))],
        env=os.environ | more, check=True, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    assert (str(tmp_path / "libfilter.so") in done.stderr) == (said is None)
    assert (said or "") in done.stdout


def test_an_empty_set_of_many_rows_takes_no_time(tmp_path: Path, network: MakeNetwork) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("x", (1 << 60, 0), np.float32)
        file["y"] = np.arange(4)
    with pytest.raises(DataError) as caught:
        open_rows(tmp_path / "d.h5", network(6))
    assert caught.value.code == "data-shape"


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_types_of_columns_are_not_unpickled(tmp_path: Path, network: MakeNetwork, suffix: str) -> None:
    """Arrow once unpickled what a file says of a type of its own (CVE-2023-47248)."""
    sprung = tmp_path / "sprung"
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Trap(sprung)),
    }
    fields = [pa.field("x", pa.float32(), metadata=metadata), pa.field("label", pa.int64())]
    table = pa.table([pa.array([1.0, 2.0], pa.float32()), pa.array([0, 1])], schema=pa.schema(fields))
    if suffix == "parquet":
        pq.write_table(table, tmp_path / "d.parquet")
    else:
        with pa.ipc.new_file(str(tmp_path / "d.arrow"), table.schema) as writer:
            writer.write_table(table)
    try:
        open_rows(tmp_path / f"d.{suffix}", network(1))
    except DataError as error:
        assert error.code == "data-invalid"  # noqa: PT017 - newer Arrow takes no notice of the type
    assert not sprung.exists()
    pickle.loads(metadata[b"ARROW:extension:metadata"])
    assert sprung.exists()
