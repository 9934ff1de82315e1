"""`open_rows` makes rows that fit a model from files or arrays."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxbound.data.array_file import member_headers, open_member, open_npy, open_npz
from onnxbound.data.array_in_memory import in_memory
from onnxbound.data.hdf5 import Hdf5File
from onnxbound.data.image import open_image_folder
from onnxbound.data.keys import Headers, Role, input_key, label_key, part_keys
from onnxbound.data.labels import read_labels
from onnxbound.data.parquet import ArrowFile, choose_columns
from onnxbound.data.preprocessing import Convert, Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.data.side_by_side import AnyArray, SideBySide, side_by_side
from onnxbound.documents.files import is_folder
from onnxbound.errors import DataError, Problem, UsageError

T = TypeVar("T")
Inputs = ArrayLike | Mapping[str, ArrayLike]
Data = str | PathLike[str] | tuple[Inputs, ArrayLike | None] | Mapping[str, ArrayLike] | ArrayLike
"""A path; or a pair of inputs and labels, arrays by keys, or inputs alone, in any form that `np.asarray` takes."""

IN_MEMORY = "arrays in memory"
"""Stands for the path of rows that are not in a file."""


class InputSpec(Protocol):
    """Whatever reads the rows: a network, or something with the same inputs."""

    @property
    def input(self) -> str:
        """Name of the input; empty if only the names in the file decide which array is which."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def input_type(self) -> np.dtype[Any]:
        """Its element type."""

    @property
    def class_labels(self) -> tuple[int | str, ...]:
        """How the model calls its classes, (K,)."""

    @property
    def parts(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of the inputs, if a row has several; else empty."""


def open_rows(
    data: Data,
    network: InputSpec,
    preprocessing: Preprocessing | None = None,
    *,
    labels: str | PathLike[str] | ArrayLike | None = None,
    x_key: str | None = None,
    y_key: str | None = None,
    role: Role = "train",
    labelled: bool = True,
    labels_start: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Rows:
    """Open the rows of a data set for a model.

    Arrays are not copied, so do not change them while the rows are in use.

    Args:
        data: A file, a folder or arrays. Files: .npz, .npy (inputs only) or, with extras, HDF5, Parquet or Arrow.
            Folders: images, with an extra. Arrays: a pair `(x, y)`, inputs `x` alone, or a mapping with keys as in a
            file. In a pair, `y` is None if there are no labels. If a row has several inputs, `x` is a mapping from
            input names to arrays, as in `({"input_ids": ids, "attention_mask": mask}, y)`.
        network: The model that takes the rows.
        preprocessing: Scale, mean, std and layout; none by default.
        labels: An .npy file or an array of labels. It replaces labels in `data`.
        x_key: The key of the inputs. If a row has several inputs, their keys in the model's order, separated by commas.
        y_key: The key of the labels.
        role: Which keys to prefer: those that end in _train, or those that end in _test.
        labelled: Whether the rows have labels. If not, every label is 0.
        labels_start: The label of the first class, if labels count the classes; None if they are the model's
            own.
        limit: Use a uniform sample of this many rows.
        seed: The seed of the sample.

    Raises:
        DataError: The data do not fit the model. The error lists every mismatch; its `suggestion` holds parameters
            that fit, if onnxbound can guess them.
        UsageError: `limit` is below 1, `labels_start` is not a 32-bit integer, or a tuple is not a pair.

    >>> from onnxbound import Preprocessing, load, open_rows
    >>> network = load("fixtures/mnist_mlp.onnx")
    >>> open_rows("fixtures/data/mnist.npz", network, Preprocessing(scale=1 / 255)).count
    1000
    """
    if x_key is not None and x_key == y_key:
        raise UsageError("usage", f"`x_key` and `y_key` are both {x_key!r}: the labels cannot be the inputs.")
    if limit is not None and limit < 1:
        raise UsageError("usage", f"`limit` must be at least 1, not {limit}.")
    if labels_start is not None and not -(2**31) <= labels_start < 2**31:
        raise UsageError("usage", f"`labels_start` must be an integer of 32 bits, not {labels_start}.")
    options = preprocessing or Preprocessing()
    path = fspath(data) if isinstance(data, str | PathLike) else IN_MEMORY
    findings = Findings()
    wanted = Wanted(network, x_key, y_key, role, labelled and labels is None, findings)
    inputs, targets = findings.need(lambda: opened_arrays(data, wanted))
    _require_several(inputs, network)
    if labelled and labels is not None:
        targets = findings.need(lambda: _labels(labels))
    total = findings.need(lambda: _require_rows(inputs))

    def convert(**how: Any) -> Convert:
        row, dtype, preprocessing = inputs.shape[1:], inputs.dtype, Preprocessing(**how)
        return converter(row, dtype, inputs.name, network.input_shape, network.input_type, preprocessing)

    def read(labels_start: int | None) -> NDArray[np.int64]:
        if targets is None:
            return np.zeros(total, np.int64)
        return read_labels(targets, total, network.class_labels, labels_start)

    converted = findings.step(convert, **asdict(options))
    every_label = findings.step(read, labels_start=labels_start)
    if converted is None or every_label is None or findings.errors:
        raise findings.together()
    rows = Rows(path, total, np.arange(total), every_label, inputs, converted, options, labels_start)
    return rows if limit is None else rows.sample(limit, seed)


@dataclass
class Findings:
    """Collects what does not fit. Opening goes on as if the remedy had been given, so that every mismatch is found."""

    errors: list[DataError] = field(default_factory=list)
    suggestion: dict[str, object] = field(default_factory=dict)
    fits: bool = True

    def step(self, run: Callable[..., T], **asked: Any) -> T | None:
        """Run a step as asked, or else as its errors suggest; None if they suggest nothing new."""
        while True:
            try:
                return run(**asked)
            except DataError as error:
                self.errors.append(error)
                if error.suggestion.items() <= asked.items():
                    self.fits = False
                    return None
                asked |= error.suggestion
                self.suggestion |= error.suggestion

    def need(self, run: Callable[..., T], **asked: Any) -> T:
        """Run a step without which nothing more can be found.

        Raises:
            DataError: Everything that was found.
        """
        value = self.step(run, **asked)
        if value is None:
            raise self.together()
        return value

    def together(self) -> DataError:
        """Make one error of all that was found."""
        first = self.errors[0]
        first.problems = tuple(dict.fromkeys(problem for error in self.errors for problem in error.problems))
        first.suggestion = self.suggestion if self.fits else {}
        return first


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the arrays are chosen."""

    network: InputSpec
    x_key: str | None
    y_key: str | None
    role: Role
    labelled: bool
    findings: Findings

    def among(self, headers: Headers, name: str, opened: Callable[[str], AnyArray]) -> tuple[AnyArray, AnyArray | None]:
        """Find inputs and labels among several arrays by their keys."""
        network, role, need = self.network, self.role, self.findings.need

        def inputs(x_key: str | None) -> str:
            return input_key(headers, name, network.input, network.input_shape, role, x_key)

        def labels(y_key: str | None) -> str:
            return label_key(headers, name, role, y_key)

        if network.parts:
            y = need(labels, y_key=self.y_key) if self.labelled else None
            return self.several(headers, name, opened, y), None if y is None else opened(y)
        x = need(inputs, x_key=self.x_key)
        y = need(labels, y_key=self.y_key) if self.labelled else None
        return opened(x), None if y is None else opened(y)

    def several(
        self, headers: Headers, name: str, opened: Callable[[str], AnyArray], labels: str | None = None
    ) -> AnyArray:
        """Join several inputs per row to one array, without the labels."""
        network = self.network
        keys = part_keys(headers, name, list(network.parts), network.input, self.role, self.x_key, labels)
        return side_by_side(dict(zip(network.parts, map(opened, keys), strict=True)), network.parts)


def opened_arrays(data: Data, wanted: Wanted) -> tuple[AnyArray, AnyArray | None]:
    """Find the arrays of inputs and labels."""
    if isinstance(data, Mapping):
        arrays = {key: in_memory(f'`data["{key}"]`', values) for key, values in data.items()}
        return wanted.among(
            {key: (array.shape, array.dtype) for key, array in arrays.items()}, "`data`", arrays.__getitem__
        )
    if isinstance(data, tuple):
        if len(data) != 2:
            raise UsageError("usage", f"`data` takes a pair (x, y), not a tuple of {len(data)}.")
        x, y = data
        labels = in_memory("`data[1]`", y) if wanted.labelled and y is not None else None
        if isinstance(x, Mapping):
            arrays = {key: in_memory(f'`data[0]["{key}"]`', values) for key, values in x.items()}
            headers = {key: (array.shape, array.dtype) for key, array in arrays.items()}
            if not wanted.network.parts:
                return replace(wanted, labelled=False).among(headers, "`data[0]`", arrays.__getitem__)[0], labels
            return wanted.several(headers, "`data[0]`", arrays.__getitem__), labels
        return in_memory("`data[0]`", x), labels
    if isinstance(data, str | PathLike):
        return _opened_file(Path(data), wanted)
    return _alone(in_memory("`data`", data), wanted)


def _opened_file(path: Path, wanted: Wanted) -> tuple[AnyArray, AnyArray | None]:
    """Choose the reader by the name of the file; unknown names are read as npz."""
    if is_folder(path):
        return open_image_folder(path, wanted.role, labelled=wanted.labelled)
    if path.suffix == ".npy":
        return _alone(open_npy(path), wanted)
    if path.suffix in (".h5", ".hdf5", ".hdf"):
        file = Hdf5File(path)
        return wanted.among(file.headers(), path.name, file.open)
    if path.suffix in (".parquet", ".arrow", ".feather"):
        return _columns(ArrowFile(path), path, wanted)
    members = open_npz(path)
    return wanted.among(member_headers(path, members), path.name, lambda key: open_member(path, members[key]))


def _alone(inputs: AnyArray, wanted: Wanted) -> tuple[AnyArray, None]:
    if wanted.labelled:
        problem = Problem(inputs.name, "it is a single array, and onnxbound needs labels too", "give `labels`")
        raise DataError("data-key", f"{inputs.name} has no labels.", [problem])
    return inputs, None


def _columns(table: ArrowFile, path: Path, wanted: Wanted) -> tuple[AnyArray, AnyArray | None]:
    def choose(x_key: str | None, y_key: str | None) -> tuple[list[str], str | None]:
        names = (wanted.network.input, x_key, y_key)
        return choose_columns(table, path, names, wanted.network.input_shape, wanted.role, labelled=wanted.labelled)

    columns, label = wanted.findings.need(choose, x_key=wanted.x_key, y_key=wanted.y_key)
    return table.inputs(columns), None if label is None else table.labels(label)


def _labels(labels: str | PathLike[str] | ArrayLike) -> AnyArray:
    return open_npy(Path(labels)) if isinstance(labels, str | PathLike) else in_memory("`labels`", labels)


def _require_several(inputs: AnyArray, network: InputSpec) -> None:
    """Refuse one array for a model of several inputs per row."""
    if network.parts and not isinstance(inputs, SideBySide):
        parts = network.parts.items()
        listed = [Problem(f"input {name!r}", f"rows of {shape}", "give an array of that name") for name, shape in parts]
        message = f"The model takes {len(listed)} inputs per row, and {inputs.name} is one array."
        raise DataError("data-key", message, listed)


def _require_rows(inputs: AnyArray) -> int:
    """The number of rows."""
    if not inputs.shape:
        problem = Problem(inputs.name, "it has no axis of rows", "name the array of inputs: `x_key`")
        raise DataError("data-shape", f"{inputs.name} is a single number.", [problem])
    if inputs.shape[0] == 0:
        raise DataError("data-empty", f"{inputs.name} has no rows.", [Problem(inputs.name, "0 rows", "give more")])
    return inputs.shape[0]
