"""`--plots DIR`: every figure as SVG, PNG and PDF, and the numbers it is drawn from as CSV."""

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbound.documents.files import write_atomically
from onnxbound.errors import OutputError, Problem
from onnxbound.report.extra import require_extra
from onnxbound.run.scratch import scratch

if TYPE_CHECKING:
    from onnxbound.report.figures.figure import Figure


def prepare_to_draw() -> None:
    """Make matplotlib use its own fonts alone, and keep its list of fonts in a folder that ends with the process.

    Raises:
        UsageError: The extra `report` is not installed.
    """
    require_extra()
    if "matplotlib" not in sys.modules:
        held = ExitStack()
        atexit.register(held.close)
        os.environ["MPLCONFIGDIR"] = str(held.enter_context(scratch()))
        os.environ["MPL_IGNORE_SYSTEM_FONTS"] = "1"


def require_plots(folder: Path, *, force: bool) -> None:
    """Refuse a folder to which figures cannot be written, before anything is computed.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        why = error.strerror or str(error)
        problem = Problem(str(folder), why, "choose another folder")
        raise OutputError("output-unwritable", f"Figures cannot be written to {folder}: {why}.", [problem]) from error
    if full and not force:
        problem = Problem(str(folder), "figures could overwrite files there", "choose an empty folder, or --force")
        raise OutputError("output-exists", f"The folder {folder} is not empty.", [problem])


def write_plots(figures: Sequence["Figure"], folder: Path, *, force: bool) -> list[Path]:
    """Write NAME.svg, NAME.png, NAME.pdf and NAME.csv of every figure.

    Returns:
        The files, in the order of the figures.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    written: list[Path] = []
    for figure in figures:
        drawn = figure.to("svg", "png", "pdf") | {"csv": figure.to_csv().encode()}
        for kind, content in drawn.items():
            written.append(folder / f"{figure.name}.{kind}")
            write_atomically(written[-1], lambda file, data=content: file.write(data), force=force)  # type: ignore[misc]
    return written
