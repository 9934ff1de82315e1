"""Documents of verbs that have no result of the library: errors, lists of files and topics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from onnxbound.documents.document import Document
from onnxbound.errors import Problem


@dataclass(frozen=True, slots=True, repr=False)
class Failure(Document):
    """An error, on stdout where `--json` was asked for.

    Attributes:
        code: A name that `explain` explains.
        exit_code: Of the process.
        message: What happened, in one sentence.
        problems: Everything that is wrong, and what to do about it.
        command: The same command with options under which the data would fit, as far as they can be guessed.
    """

    SCHEMA: ClassVar[str] = "onnxbound.error/1"

    code: str
    exit_code: int
    message: str
    problems: tuple[Problem, ...]
    command: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Topics(Document):
    """Names that `explain` explains, by kind."""

    SCHEMA: ClassVar[str] = "onnxbound.topics/1"

    topics: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, repr=False)
class Files(Document):
    """Files that `report` wrote, and the report they were written from."""

    SCHEMA: ClassVar[str] = "onnxbound.files/1"

    report: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Decompression(Document):
    """A model made again from its codes.

    Attributes:
        codes: The file of codes.
        path: The model that was made of it.
        codes_bytes: Size of the first.
        bytes: Size of the second.
    """

    SCHEMA: ClassVar[str] = "onnxbound.decompression/1"

    codes: str
    path: str
    codes_bytes: int
    bytes: int
