"""The files that are mutated: real models and data sets, small enough that thousands of them are read in a minute."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fixtures.quantised import Kind, quantised
from onnxbound.graph.load import load

FIXTURES = Path(__file__).parents[1] / "fixtures"
ROWS = 12


@dataclass(frozen=True, slots=True)
class Seed:
    """A valid file, and the other files that a command with it needs.

    Attributes:
        kind: "model", or the suffix of a data file.
        name: Where it comes from.
        content: Its bytes.
        model: The model to read rows with; for a model, itself.
        data: Rows that fit it; for a data file, itself.
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


def seeds(folder: Path) -> list[Seed]:
    """Every seed; files that they need beside themselves are written to a folder."""
    models = [FIXTURES / f"{name}.onnx" for name in ("mnist_logistic", "mnist_mlp", "cifar10_cnn", "cifar10_resnet")]
    models += [quantised(Kind("mnist_mlp", form), folder) for form in ("QDQ", "QOperator")]
    if "ONNXBOUND_TEST_DATA" in os.environ:
        models += sorted((Path(os.environ["ONNXBOUND_TEST_DATA"]) / "models").glob("*.onnx"))
    found = []
    for model in models:
        rows = _rows_for(model, folder)
        found.append(Seed("model", model.stem, model.read_bytes(), model, rows))
    return found + _data_seeds(folder)


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
    return [Seed(Path(n).suffix[1:], n, (folder / n).read_bytes(), model, folder / n) for n in names]
