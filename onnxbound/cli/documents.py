"""What commands say with `--json` where nothing below them has a word for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from onnxbound.errors import Problem

ERROR = "onnxbound.error/1"
TOPIC_NAMES = "onnxbound.topics/1"
FILES = "onnxbound.files/1"
DECOMPRESSION = "onnxbound.decompression/1"


@dataclass(frozen=True, slots=True)
class Failure:
    """`onnxbound.error/1`: what stands on stdout where a run fails.

    Attributes:
        code: What `explain` explains.
        exit_code: Of the process.
        message: What happened, in one sentence.
        problems: Everything that is wrong, and what to do about it.
        command: The same command with options under which the data would fit, as far as they can be guessed.
    """

    code: str
    exit_code: int
    message: str
    problems: tuple[Problem, ...]
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Topics:
    """`onnxbound.topics/1`: what `explain` can explain, by kind; the schemas are one."""

    topics: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Files:
    """`onnxbound.files/1`: what `report` wrote, and from which report."""

    report: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decompression:
    """`onnxbound.decompression/1`.

    Attributes:
        codes: The file of codes.
        path: The model that was made of it.
        codes_bytes: Size of the first.
        bytes: Size of the second.
    """

    codes: str
    path: str
    codes_bytes: int
    bytes: int
