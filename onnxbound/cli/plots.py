"""`--plots DIR`: every figure as SVG and PNG, and the numbers it is drawn from as CSV."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbound.cli.output import tell
from onnxbound.documents.files import write_atomically
from onnxbound.errors import OutputError, Problem, extra_hint

if TYPE_CHECKING:
    from onnxbound.report.figures.figure import Figure

_PNG_SCALE = 3


def require_plots(folder: Path | None, *, force: bool) -> None:
    """Complain before anything is computed about a folder that figures cannot be written to.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    if folder is None:
        return
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
    """Write NAME.svg and NAME.csv of every figure, and NAME.png where the extra `png` is installed.

    Returns:
        The files, in the order of the figures.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    from onnxbound.report.figures.svg import to_svg

    drawn = find_spec("resvg_py") is not None
    written: list[Path] = []
    for figure in figures:
        drawing = to_svg(figure.drawing)
        contents = {"svg": drawing.encode(), "csv": figure.to_csv().encode()}
        if drawn:
            import resvg_py

            contents["png"] = bytes(resvg_py.svg_to_bytes(svg_string=drawing, zoom=_PNG_SCALE))
        for kind, content in contents.items():
            written.append(folder / f"{figure.name}.{kind}")
            write_atomically(written[-1], lambda file, data=content: file.write(data), force=force)  # type: ignore[misc]
    if not drawn:
        tell([f"no PNG was written: {extra_hint('png')}"])
    return written
