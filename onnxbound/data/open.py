"""`open_rows`: from files and options to rows that fit a model."""

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from onnxbound.data.array_file import ArrayFile, member_headers, open_member, open_npy, open_npz
from onnxbound.data.hdf5 import Hdf5File
from onnxbound.data.image import open_image_folder
from onnxbound.data.keys import Headers, Role, input_key, label_key
from onnxbound.data.labels import read_labels
from onnxbound.data.parquet import ArrowFile, choose_columns
from onnxbound.data.preprocessing import Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.errors import DataError, Problem, UsageError
from onnxbound.rng import select_rows


class Reader(Protocol):
    """What rows are opened for: a network, or something that reads rows like one."""

    @property
    def input(self) -> str:
        """Name of the input; empty where the arrays of a file are told apart by the file's own names alone."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def input_type(self) -> np.dtype[Any]:
        """Its element type."""

    @property
    def classes(self) -> int:
        """K."""


def open_rows(
    path: str | PathLike[str],
    network: Reader,
    preprocessing: Preprocessing | None = None,
    *,
    labels: str | PathLike[str] | None = None,
    x_key: str | None = None,
    y_key: str | None = None,
    role: Role = "train",
    labelled: bool = True,
    labels_start: int = 0,
    limit: int | None = None,
    seed: int = 0,
) -> Rows:
    """The rows of a data set, matched to a model.

    Args:
        path: An npz file, an npy file of inputs, or by extras an HDF5, Parquet or Arrow file or a folder of images.
        network: The model they are for.
        preprocessing: Scale, mean, std and layout; none by default.
        labels: An npy file of labels; it takes precedence over labels in the npz.
        x_key: Key of the inputs in a file of several arrays.
        y_key: Key of the labels there.
        role: Whether keys that end in _train or in _test come first.
        labelled: Whether the rows have labels; without them all are 0.
        labels_start: The label of the first class.
        limit: A uniform sample of this many rows.
        seed: Its seed.

    Raises:
        DataError: Something does not fit; the message says what was expected, what was found, and the flag that helps.
    """
    file = Path(path)
    if x_key is not None and x_key == y_key:
        raise UsageError("usage", f"`x_key` and `y_key` are both {x_key!r}: the labels cannot be the inputs.")
    wanted = _Wanted(network, x_key, y_key, role, labelled)
    inputs, targets = _arrays(file, None if labels is None else Path(labels), wanted)
    if not inputs.shape:
        raise _shape_error(inputs)
    options = preprocessing or Preprocessing()
    convert = converter(inputs.shape[1:], inputs.dtype, inputs.name, network.input_shape, network.input_type, options)
    total = inputs.shape[0]
    if total == 0:
        raise DataError("data-empty", f"{inputs.name} has no rows.", [Problem(inputs.name, "0 rows", "give more")])
    if limit is not None and limit < 1:
        raise UsageError("usage", f"--limit takes a number of at least 1, not {limit}.")
    every_label = (
        np.zeros(total, np.int64) if targets is None else read_labels(targets, total, network.classes, labels_start)
    )
    index = select_rows(seed, total, total if limit is None else limit, stream=1)
    return Rows(file, total, index, every_label[index], inputs, convert, options)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which arrays of a file are meant."""

    network: Reader
    x_key: str | None
    y_key: str | None
    role: Role
    labelled: bool

    @property
    def rank(self) -> int:
        return sum(n != 1 for n in self.network.input_shape)

    def inputs(self, headers: Headers, name: str) -> str:
        return input_key(headers, name, self.network.input, self.rank, self.role, self.x_key)

    def labels(self, headers: Headers, name: str) -> str:
        return label_key(headers, name, self.role, self.y_key)


def _arrays(path: Path, labels: Path | None, wanted: _Wanted) -> tuple[ArrayFile, ArrayFile | None]:
    """The arrays of inputs and labels, still in their files."""
    inputs, own = _opened(path, replace(wanted, labelled=wanted.labelled and labels is None))
    return inputs, open_npy(labels) if wanted.labelled and labels is not None else own


def _opened(path: Path, wanted: _Wanted) -> tuple[ArrayFile, ArrayFile | None]:
    """By the name of the file; what none of the names says is taken for npz."""
    if path.is_dir():
        return open_image_folder(path, wanted.role, labelled=wanted.labelled)
    if path.suffix == ".npy":
        if wanted.labelled:
            why = "an npy file holds one array, and the labels are needed too"
            raise DataError("data-key", f"{path} has no labels.", [Problem(str(path), why, "give --labels FILE.npy")])
        return open_npy(path), None
    if path.suffix in (".h5", ".hdf5", ".hdf"):
        file = Hdf5File(path)
        headers = file.headers()
        inputs = file.open(wanted.inputs(headers, path.name))
        return inputs, file.open(wanted.labels(headers, path.name)) if wanted.labelled else None
    if path.suffix in (".parquet", ".arrow", ".feather"):
        table, names = ArrowFile(path), (wanted.network.input, wanted.x_key, wanted.y_key)
        columns, label = choose_columns(table, path, names, wanted.rank, wanted.role, labelled=wanted.labelled)
        return table.inputs(columns), None if label is None else table.labels(label)
    members = open_npz(path)
    headers = member_headers(path, members)
    found = open_member(path, members[wanted.inputs(headers, path.name)])
    return found, open_member(path, members[wanted.labels(headers, path.name)]) if wanted.labelled else None


def _shape_error(inputs: ArrayFile) -> DataError:
    return DataError(
        "data-shape",
        f"{inputs.name} is a single number.",
        [Problem(inputs.name, "it has no axis of rows", "name the array of inputs: --x-key KEY")],
    )
