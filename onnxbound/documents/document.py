"""Results as documents: JSON for programs, a table for people, a file."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite
from os import PathLike
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from onnxbound.documents.files import write_atomically
from onnxbound.errors import visible
from onnxbound.results import UpperBound

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


class Document:
    """Base of every result with a JSON form; subclasses are frozen dataclasses whose fields are the keys.

    Attributes:
        SCHEMA: Name of its JSON Schema, the value of the key `schema`.
        WIDTH: Columns of its tables where no terminal sets a width.
    """

    __slots__ = ()
    SCHEMA: ClassVar[str]
    WIDTH: ClassVar[int] = 100

    def to_json(self) -> dict[str, Any]:
        """Return the document as JSON values; numbers that are not finite become null."""
        return {"schema": self.SCHEMA, **plain(self)}

    def save(self, path: str | PathLike[str], *, force: bool = False) -> None:
        """Write the document as JSON.

        Args:
            path: The file.
            force: Whether to overwrite an existing file.

        Raises:
            OutputError: output-exists or output-unwritable.
        """
        text = to_json_text(self.to_json())
        write_atomically(Path(path), lambda file: file.write(text.encode()), force=force)

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        """Print the document as tables.

        Args:
            console: The console to print to.
            verbose: Whether to print the long tables too.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {visible(self.summary())}>"

    def summary(self) -> str:
        """Return a one-line summary."""
        return self.SCHEMA

    def _repr_html_(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), record=True, width=self.WIDTH, force_jupyter=False)
        self.render(console)
        return console.export_html(inline_styles=True, code_format=_CODE)


_CODE = '<pre style="font-family: monospace; line-height: 1.25; overflow-x: auto">{code}</pre>'
"""Said here, since some notebooks give <pre> the font of their text."""


def plain(value: Any) -> Any:
    """Convert a value to JSON types: dataclasses to objects, tuples to arrays, numbers that are not finite to null.

    A mapping field with `keys` in its metadata stands for as many keys of the object itself; dots in a key nest.

    >>> plain((1, float("inf"), UpperBound(2.0, "proved")))
    [1, None, 2.0]
    """
    if isinstance(value, UpperBound):
        return plain(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        result: dict[str, Any] = {}
        for field in fields(value):
            entry = plain(getattr(value, field.name))
            result |= nested(entry) if "keys" in field.metadata else {field.name: entry}
        return result
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def view(kind: type[T], source: Any, **given: Any) -> T:
    """Make a dataclass from the attributes of an object that have the names of its fields.

    Args:
        kind: The dataclass.
        source: Any object.
        given: Values of fields that the object lacks, or that differ.
    """
    names = [field.name for field in fields(kind) if field.name not in given]  # type: ignore[arg-type]
    return kind(**{name: getattr(source, name) for name in names}, **given)


def nested(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dots in keys into objects.

    >>> nested({"a.b": 1, "a.c": 2, "d": 3})
    {'a': {'b': 1, 'c': 2}, 'd': 3}
    """
    result: dict[str, Any] = {}
    for key, entry in entries.items():
        *outer, inner = key.split(".")
        place = result
        for name in outer:
            place = place.setdefault(name, {})
        place[inner] = entry
    return result


def print_prose(console: "Console", lines: Sequence[str]) -> None:
    """Lines as they are; a terminal gets them broken between words, and indented as they begin."""
    if console.is_terminal:
        lines = [_broken(line, console.width) for line in lines]
    console.print("\n".join(lines), highlight=False, markup=False, emoji=False, soft_wrap=True)


def _broken(line: str, width: int) -> str:
    r"""Break a line between words; what follows stands below its first word.

    >>> _broken("  - one two", 9)
    '  - one\n    two'
    """
    text = line.lstrip(" -")
    indent = " " * (len(line) - len(text))
    parts = wrap(text, max(width - len(indent), 1), break_long_words=False, break_on_hyphens=False)
    return line[: len(indent)] + f"\n{indent}".join(parts)


def to_json_text(document: Mapping[str, Any]) -> str:
    r"""Write strict, indented JSON; characters that do not print are escaped, so that they cannot control a terminal.

    >>> to_json_text({"é": "\x9b2J"})
    '{\n  "é": "\\u009b2J"\n}\n'
    """
    import json

    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    escaped = (c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    return "".join(escaped) + "\n"
