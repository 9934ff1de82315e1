"""Documents of the command line itself: errors, and lists of files."""

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
        command: The same command with suggested options, under which the data would fit.
    """

    SCHEMA: ClassVar[str] = "onnxbound.error/1"

    code: str
    exit_code: int
    message: str
    problems: tuple[Problem, ...]
    command: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Files(Document):
    """The files that `report` wrote, and their source."""

    SCHEMA: ClassVar[str] = "onnxbound.files/1"

    report: str
    files: tuple[str, ...]
