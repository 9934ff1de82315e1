"""Files of conventions: how a model is read, and what is done to its rows."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np

from onnxbound.data.array_file import require_regular
from onnxbound.data.preprocessing import Layout, Preprocessing, parse_numbers
from onnxbound.documents.files import write_atomically
from onnxbound.errors import DataError, Problem, UsageError

SCHEMA = "onnxbound.conventions/1"
_ABOUT = "# How a model and its rows are read: onnxbound VERB MODEL --conventions THIS_FILE"
_LARGEST_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class Conventions:
    """How to read a model and its rows. Entries that are not given are None.

    Attributes:
        scale: As in `Preprocessing`.
        mean: As in `Preprocessing`.
        std: As in `Preprocessing`.
        layout: As in `Preprocessing`.
        labels_start: As in `open_rows`.
        x_key: As in `open_rows`.
        y_key: As in `open_rows`.
        logits: As in `load`.
        input_shape: As in `load`.
        fixed: As in `load`, with arrays as nested tuples.

    >>> from onnxbound import Conventions
    >>> Conventions(scale=1 / 255, layout="nhwc").layout
    'nhwc'
    """

    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    layout: Layout | None = None
    labels_start: int | None = None
    x_key: str | None = None
    y_key: str | None = None
    logits: str | None = None
    input_shape: tuple[int, ...] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        how = self.preprocessing
        for name in ("scale", "mean", "std"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, getattr(how, name))
        fixed = {name: _tuples(np.asarray(value).tolist()) for name, value in self.fixed.items()}
        object.__setattr__(self, "fixed", fixed)
        if self.input_shape is not None:
            object.__setattr__(self, "input_shape", tuple(self.input_shape))

    def but(self, **given: Any) -> Self:
        """Return a copy with these entries replaced; None keeps an entry.

        >>> Conventions(scale=1.0, x_key="x").but(scale=0.5, x_key=None)
        Conventions(scale=0.5, x_key='x')
        """
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def of_model(self) -> dict[str, Any]:
        """Return the arguments of `load`."""
        fixed = {name: np.asarray(value) for name, value in self.fixed.items()}
        return {"logits": self.logits, "fixed": fixed, "input_shape": self.input_shape}

    @property
    def preprocessing(self) -> Preprocessing:
        """Return what is done to each row."""
        numbers = {name: value for name in ("mean", "std") if (value := getattr(self, name)) is not None}
        return Preprocessing(scale=self.scale, layout=self.layout, **numbers)

    def of_rows(self) -> dict[str, Any]:
        """Return the arguments of `open_rows`."""
        keys = {name: getattr(self, name) for name in ("labels_start", "x_key", "y_key")}
        return {"preprocessing": self.preprocessing, **keys}

    def to_toml(self) -> str:
        """Return the text of a conventions file; reading it restores every number exactly."""
        said = {entry.name: value for entry in fields(self) if (value := getattr(self, entry.name)) is not None}
        fixed = said.pop("fixed")
        lines = [_ABOUT, f"schema = {_toml(SCHEMA)}", *(f"{name} = {_toml(value)}" for name, value in said.items())]
        if fixed:
            lines += ["", "[fixed]", *(f"{_toml(name)} = {_toml(value)}" for name, value in fixed.items())]
        return "\n".join(lines) + "\n"

    def write(self, path: str | PathLike[str], *, force: bool = False) -> None:
        """Write a conventions file.

        Raises:
            OutputError: output-exists or output-unwritable.
        """
        write_atomically(Path(path), lambda file: file.write(self.to_toml().encode()), force=force)

    def __repr__(self) -> str:
        said = ((entry.name, getattr(self, entry.name)) for entry in fields(self))
        return f"Conventions({', '.join(f'{name}={value!r}' for name, value in said if value not in (None, {}))})"


def read_conventions(path: str | PathLike[str]) -> Conventions:
    """Read a conventions file, which is TOML.

    Raises:
        UsageError: conventions-invalid. The error lists every wrong key and what was expected.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from onnxbound import read_conventions
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "model.toml")
    ...     _ = file.write_text('layout = "nhwc"')
    ...     read_conventions(file).layout
    'nhwc'
    """
    file = Path(path)
    try:
        require_regular(file)
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise _invalid(file, [("the file", f"it is larger than {_LARGEST_BYTES >> 20} MiB", "name another file")])
        entries = tomllib.loads(content.decode())
    except DataError as error:
        raise _invalid(file, [("the file", error.problems[0].why, "give a file")]) from error
    except OSError as error:
        problem = Problem(str(file), str(error.strerror), "check the path and its permissions")
        raise UsageError("conventions-invalid", f"The conventions {file} cannot be read.", [problem]) from error
    except (RecursionError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise _invalid(file, [("the file", f"it is not TOML: {error}", "write KEY = VALUE on each line")]) from error
    problems = []
    if entries.pop("schema", SCHEMA) != SCHEMA:
        problems.append(("schema", "it is the schema of another file", f"write {_toml(SCHEMA)}, or leave it out"))
    entries = {key: _quotients(key, value) for key, value in entries.items()}
    for key, value in entries.items():
        if key not in _EXPECTED:
            near = get_close_matches(key, _EXPECTED, 1)
            do = f"write {near[0]}" if near else f"the keys are {', '.join(_EXPECTED)}"
            problems.append((key, "there is no such key", do))
        elif not _EXPECTED[key][1](value):
            problems.append((key, f"it is {_short(value)}", f"expected {_EXPECTED[key][0]}"))
    if problems:
        raise _invalid(file, problems)
    return Conventions(**entries)


def _quotients(key: str, value: Any) -> Any:
    """The numbers of a text such as "1/255", as options take them; anything else as it is."""
    if key not in ("scale", "mean", "std") or not isinstance(value, str):
        return value
    try:
        numbers = list(parse_numbers(key, value))
    except UsageError:
        return value
    return numbers[0] if len(numbers) == 1 else numbers


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_numbers(value: object) -> bool:
    return _is_number(value) or (isinstance(value, list) and len(value) > 0 and all(map(_is_number, value)))


def _is_value(value: object) -> bool:
    """Whether NumPy can make a number, or an array of numbers, of it."""
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except ValueError:  # ragged
        return False


_EXPECTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "scale": ('a number other than 0, or a text such as "1/255"', lambda value: _is_number(value) and value != 0),
    "mean": ("a number, or a list of numbers", _are_numbers),
    "std": (
        "a number other than 0, or a list of such",
        lambda value: _are_numbers(value) and not np.equal(value, 0).any(),
    ),
    "layout": ('"nchw", "nhwc" or "flat"', lambda value: value in get_args(Layout)),
    "labels_start": ("an integer", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "x_key": ("a text", lambda value: isinstance(value, str)),
    "y_key": ("a text", lambda value: isinstance(value, str)),
    "logits": ("a text", lambda value: isinstance(value, str)),
    "input_shape": ("a list of lengths", lambda value: isinstance(value, list) and all(map(_is_length, value))),
    "fixed": (
        "a table of numbers, or of nested lists of numbers, by names of inputs",
        lambda value: isinstance(value, dict) and all(map(_is_value, value.values())),
    ),
}
"""Key to the values that it may have, in words and as a check."""


def _tuples(value: Any) -> Any:
    """Turn lists into tuples, at every depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _toml(value: Any) -> str:
    r"""Write a value in TOML. JSON writes strings in the same way, but does not escape DEL.

    >>> _toml((0.1, True)), _toml('a"\n\x7f')
    ('[0.1, true]', '"a\\"\\n\\u007f"')
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, tuple) else repr(value)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _invalid(path: Path, problems: list[tuple[str, str, str]]) -> UsageError:
    listed = [Problem(f"{path}: {key}", why, do) for key, why, do in problems]
    return UsageError("conventions-invalid", f"{path} is not a file of conventions.", listed)
