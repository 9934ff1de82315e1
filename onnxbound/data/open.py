"""`open_rows`: from files and options to rows that fit a model."""

from os import PathLike
from pathlib import Path

import numpy as np

from onnxbound.data.array_file import ArrayFile, member_headers, open_member, open_npy, open_npz
from onnxbound.data.keys import Role, input_key, label_key
from onnxbound.data.labels import read_labels
from onnxbound.data.preprocessing import Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.errors import DataError, Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.rng import select_rows


def open_rows(
    path: str | PathLike[str],
    network: Network,
    preprocessing: Preprocessing | None = None,
    *,
    labels: str | PathLike[str] | None = None,
    x_key: str | None = None,
    y_key: str | None = None,
    role: Role = "train",
    labelled: bool = True,
    limit: int | None = None,
    seed: int = 0,
) -> Rows:
    """The rows of a data set, matched to a model.

    Args:
        path: An npz file, or an npy file of inputs.
        network: The model they are for.
        preprocessing: Scale, mean, std and layout; none by default.
        labels: An npy file of labels; it takes precedence over labels in the npz.
        x_key: Key of the inputs in the npz.
        y_key: Key of the labels in the npz.
        role: Whether keys that end in _train or in _test come first.
        labelled: Whether the rows have labels; without them all are 0.
        limit: A uniform sample of this many rows.
        seed: Its seed.

    Raises:
        DataError: Something does not fit; the message says what was expected, what was found, and the flag that helps.
    """
    file = Path(path)
    inputs, targets = _arrays(
        file, network, None if labels is None else Path(labels), x_key, y_key, role, labelled=labelled
    )
    if not inputs.shape:
        raise _shape_error(inputs)
    options = preprocessing or Preprocessing()
    convert = converter(inputs.shape[1:], inputs.dtype, inputs.name, network.input_shape, network.input_type, options)
    total = inputs.shape[0]
    if total == 0:
        raise DataError("data-empty", f"{inputs.name} has no rows.", [Problem(inputs.name, "0 rows", "give more")])
    if limit is not None and limit < 1:
        raise UsageError("usage", f"--limit takes a number of at least 1, not {limit}.")
    every_label = np.zeros(total, np.int64) if targets is None else read_labels(targets, total, network.classes)
    index = select_rows(seed, total, total if limit is None else limit, stream=1)
    return Rows(file, total, index, every_label[index], inputs, convert, options)


def _arrays(
    path: Path,
    network: Network,
    labels: Path | None,
    x_key: str | None,
    y_key: str | None,
    role: Role,
    *,
    labelled: bool,
) -> tuple[ArrayFile, ArrayFile | None]:
    """The arrays of inputs and labels, still in their files."""
    if path.suffix == ".npy":
        if not labelled:
            return open_npy(path), None
        if labels is None:
            why = "an npy file holds one array, and the labels are needed too"
            raise DataError("data-key", f"{path} has no labels.", [Problem(str(path), why, "give --labels FILE.npy")])
        return open_npy(path), open_npy(labels)
    members = open_npz(path)
    headers = member_headers(path, members)
    rank = int(np.sum(np.array(network.input_shape) != 1))
    inputs = open_member(path, members[input_key(headers, path.name, network.input, rank, role, x_key)])
    if not labelled:
        return inputs, None
    if labels is not None:
        return inputs, open_npy(labels)
    return inputs, open_member(path, members[label_key(headers, path.name, role, y_key)])


def _shape_error(inputs: ArrayFile) -> DataError:
    return DataError(
        "data-shape",
        f"{inputs.name} is a single number.",
        [Problem(inputs.name, "it has no axis of rows", "name the array of inputs: --x-key KEY")],
    )
