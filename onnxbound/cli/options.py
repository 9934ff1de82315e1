"""Options: how they are declared, and what a few of them mean together."""

from collections.abc import Callable
from dataclasses import MISSING, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"
    MARKDOWN = "markdown"


_FORMATS = {
    ".json": Format.JSON,
    ".csv": Format.CSV,
    ".html": Format.HTML,
    ".md": Format.MARKDOWN,
    ".txt": None,
    "": None,
}
"""Suffix of a file to its format; None leaves it open."""

REQUIRED = MISSING
"""The default of an option that is required."""


ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
Device = Annotated[str, typer.Option("--device", metavar="WHERE", help="The device: auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int | None, typer.Option("--threads", metavar="N", help="Number of threads; by default all cores.")]
Delta = Annotated[float, typer.Option(metavar="D", help="Largest probability that a bound is false.")]


Completion = Callable[[str], list[str]] | Callable[[typer.Context, str], list[str]]
"""What a value may be, given its beginning, or the command line before it as well."""


def option(
    metavar: str | None,
    help: str,  # noqa: A002 - typer's word
    default: Any = None,
    *flags: str,
    autocompletion: Completion | None = None,
) -> Any:
    """Declare an option, as the default of a field of a group or of a parameter of a verb.

    Args:
        metavar: What stands for its value; None for a switch.
        help: What it says, and what by default.
        default: Its value where it is not given.
        flags: Its names; by default the parameter's.
        autocompletion: Its possible values.
    """
    said = {"flags": flags, "help": help, "metavar": metavar, "autocompletion": autocompletion}
    return field(default=default, metadata=said)


def chosen_format(
    asked: Format | None,
    *,
    as_json: bool,
    output: Path | None = None,
    default: Format = Format.TABLE,
    pages: bool = False,
) -> Format:
    """The format that --format, --json and the suffix of the output together ask for.

    Args:
        asked: What --format says.
        as_json: Whether --json was given.
        output: The file that is written; None is stdout.
        default: Where nothing is said.
        pages: Whether the result has a page.

    Raises:
        UsageError: They contradict each other, or no result is written in this format.
    """
    from onnxbound.errors import UsageError

    if as_json and asked not in (None, Format.JSON):
        raise UsageError("usage", f"--json is not what --format {asked} says.")
    asked, suffix = Format.JSON if as_json else asked, "" if output is None else output.suffix.lower()
    if suffix not in _FORMATS:
        known = ", ".join(filter(None, _FORMATS))
        raise UsageError("usage", f"Results are not written as {suffix}: -o takes {known}, or no suffix, not {output}.")
    if asked is not None and asked is not (_FORMATS[suffix] or asked):
        raise UsageError("usage", f"--format {asked} is not what -o {output} says.")
    chosen = asked or _FORMATS[suffix] or default
    if chosen in (Format.HTML, Format.MARKDOWN) and not pages:
        raise UsageError("usage", f"This result has no page: onnxbound report makes {chosen} of what --json wrote.")
    return chosen


def argument(
    metavar: str,
    help: str,  # noqa: A002 - typer's word
    default: Any = REQUIRED,
    autocompletion: Completion | None = None,
) -> Any:
    """Declare an argument, as the default of a parameter of a verb.

    Args:
        metavar: What stands for it.
        help: What it says.
        default: Its value where it is not given.
        autocompletion: Its possible values.
    """
    said = {"help": help, "metavar": metavar, "place": True, "autocompletion": autocompletion}
    return field(default=default, metadata=said)


def set_threads(threads: int | None) -> None:
    """Limit the threads of NumPy's BLAS, which reads these variables once, when it is loaded."""
    import os

    if threads is not None:
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(threads)
