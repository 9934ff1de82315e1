"""The files that are mutated: real models and data sets, small enough that thousands of them are read in a minute."""

import io
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fixtures.quantised import Kind, quantised
from onnxbound.certificates.certify import certify
from onnxbound.certificates.request import CertificateOptions
from onnxbound.cli import app
from onnxbound.data.open import open_rows
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.nets import mlp

FIXTURES = Path(__file__).parents[1] / "fixtures"
ROWS = 12


@dataclass(frozen=True, slots=True)
class Seed:
    """A valid file, and the other files that a command with it needs.

    Attributes:
        kind: "model", "data", "image" of a folder of them, "certificate" or "run" for a file of one, or "report".
        name: Where it comes from.
        content: Its bytes.
        model: The model to read rows with; for a model, itself.
        data: Rows that fit it; for data, where they lie; for a report, the file that it was.
        place: Where the mutated bytes go.
    """

    @property
    def weight(self) -> float:
        """How often it is taken: the larger, the slower it is read and the less of it is structure."""
        return 1 / (20_000 + len(self.content))

    kind: str
    name: str
    content: bytes
    model: Path
    data: Path
    place: Path


def seeds(folder: Path) -> list[Seed]:
    """Every seed; files that they need beside themselves are written to a folder."""
    models = [FIXTURES / f"{name}.onnx" for name in ("mnist_logistic", "mnist_mlp", "cifar10_cnn", "cifar10_resnet")]
    models += [quantised(Kind("mnist_mlp", form), folder) for form in ("QDQ", "QOperator")]
    if "ONNXBOUND_TEST_DATA" in os.environ:
        models += sorted((Path(os.environ["ONNXBOUND_TEST_DATA"]) / "models").glob("*.onnx"))
    found = []
    for model in models:
        rows = _rows_for(model, folder)
        found.append(Seed("model", model.stem, model.read_bytes(), model, rows, folder / "mutated.onnx"))
    found += _data_seeds(folder) + _image_seeds(folder / "images") + _certificate_seeds(folder / "certified")
    return found + _run_seeds(folder / "analyzed")


def _rows_for(model: Path, folder: Path) -> Path:
    """Random rows of the model's shape; a model that is refused gets rows of any."""
    try:
        network = load(model)
        shape, classes = network.input_shape, network.classes
    except Exception:  # noqa: BLE001 - a refused model is a seed all the same
        shape, classes = (784,), 10
    path = folder / f"{model.stem}.npz"
    x = np.random.default_rng(0).random((ROWS, *shape), np.float32)
    np.savez(path, x=x, y=np.arange(ROWS) % classes)
    return path


def _data_seeds(folder: Path) -> list[Seed]:
    """One small data set in every format that is read."""
    model = FIXTURES / "mnist_logistic.onnx"
    x = np.random.default_rng(0).random((ROWS, 784), np.float32)
    y = np.arange(ROWS) % 10
    np.save(folder / "labels.npy", y)
    np.savez(folder / "stored.npz", x=x, y=y)
    np.savez_compressed(folder / "deflated.npz", x=x, y=y)
    np.save(folder / "inputs.npy", x)
    np.save(folder / "fortran.npy", np.asfortranarray(x))
    names = ["stored.npz", "deflated.npz", "inputs.npy", "fortran.npy"]
    if find_spec("h5py"):
        import h5py

        with h5py.File(folder / "chunked.h5", "w") as file:
            file.create_dataset("x", data=x, chunks=(5, 100), compression="gzip")
            file["y"] = y
        names.append("chunked.h5")
    if find_spec("pyarrow"):
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table({"x": pa.array(list(x)), "label": y})
        parquet.write_table(table, folder / "lists.parquet", row_group_size=5)
        names.append("lists.parquet")
    found = []
    for name in names:
        place = folder / f"mutated{Path(name).suffix}"
        found.append(Seed("data", name, (folder / name).read_bytes(), model, place, place))
    return found


def _image_seeds(folder: Path) -> list[Seed]:
    """One image of a folder of two classes, in every format."""
    if not find_spec("PIL"):
        return []
    from PIL import Image

    random = np.random.default_rng(2)
    for name in ("0/a", "0/b", "1/a"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{name}.bmp")
    picture, found = Image.open(folder / "0" / "b.bmp"), []
    for suffix in ("png", "jpg", "gif", "webp", "tif", "ppm"):
        content = io.BytesIO()
        picture.save(content, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
        place = folder / "1" / f"b.{suffix}"
        found.append(Seed("image", place.name, content.getvalue(), FIXTURES / "cifar10_cnn.onnx", folder, place))
    return found


def _certificate_seeds(folder: Path) -> list[Seed]:
    """The files of a certificate of a small net."""
    network, data = net_with_rows(folder, 2000)
    certify(network, open_rows(data, network), folder / "of", CertificateOptions(effort=1, threads=1))
    files = [folder / "of" / name for name in ("certificate.json", "code.bin", "decoded.onnx")]
    return [Seed("certificate", file.name, file.read_bytes(), network.path, data, file) for file in files]


def _run_seeds(folder: Path) -> list[Seed]:
    """The files of a finished run, and its report."""
    network, data = net_with_rows(folder, 40)
    run, report = folder / "run", folder / "report.json"
    assert app.run([*analysis(network.path, data, run), "-o", str(report)]) == 0
    files = [file for file in sorted(run.rglob("*")) if file.is_file() and file.name != "lock"]
    found = [Seed("run", str(file.relative_to(run)), file.read_bytes(), network.path, data, file) for file in files]
    return [*found, Seed("report", report.name, report.read_bytes(), network.path, report, folder / "mutated.json")]


def analysis(model: Path, data: Path, run: Path) -> list[str]:
    """A short run in a folder, which goes on with what is there."""
    words = ["analyze", str(model), "--data", str(data), "--run", str(run), "--resume", "--json", "-q"]
    return [*words, "--probes", "1", "--threads", "1", "--device", "cpu", "--engine", "numpy"]


def net_with_rows(folder: Path, count: int) -> tuple[Network, Path]:
    """A small net, and rows that it classifies without an error."""
    folder.mkdir()
    random = np.random.default_rng(3)
    weights = [
        (random.normal(size=(6, 10)), random.normal(size=6)),
        (random.normal(size=(4, 6)), random.normal(size=4)),
    ]
    data = folder / "rows.npz"
    x = random.normal(size=(count, 10)).astype(np.float32)
    hidden = np.maximum(x @ weights[0][0].T + weights[0][1], 0)
    np.savez(data, x=x, y=(hidden @ weights[1][0].T + weights[1][1]).argmax(axis=1))
    return load(mlp(folder / "net.onnx", weights)), data
