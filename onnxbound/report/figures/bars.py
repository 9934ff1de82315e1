"""Bounds beside one another on a logarithmic scale, and the line from which on a bound says nothing."""

from dataclasses import dataclass

from onnxbound.errors import visible
from onnxbound.report.figures.axis import logarithmic
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.frame import colour, framed
from onnxbound.report.figures.svg import FONT_SIZE, WARNING, hover, line, rectangle, text, text_width

_ROW_HEIGHT = 24.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bound: its name, its decimal logarithm (None if it has none), and what is written beside it."""

    name: str
    log10: float | None
    words: str


def bars(name: str, caption: str, quantity: str, rows: tuple[Bar, ...], limit_log10: float, limit: str) -> Figure:
    """Draw bars from the left end of the axis.

    Args:
        name: Of the figure's file.
        caption: What it shows.
        quantity: What the axis shows.
        rows: From the top.
        limit_log10: Where the line stands.
        limit: What it means.
    """
    logs = [row.log10 for row in rows if row.log10 is not None]
    axis = logarithmic(f"{quantity} (log scale)", [*logs, limit_log10, min([*logs, limit_log10]) - 0.5])
    left = max(text_width(row.name) for row in rows) + 10
    right = max(text_width(row.words) for row in rows) + 10
    frame = framed(caption, axis, _ROW_HEIGHT * len(rows) + 18, left=left, right=right)
    for position, row in enumerate(rows):
        middle = frame.top + 18 + _ROW_HEIGHT * (position + 0.5)
        text(frame.root, left - 6, middle + 0.35 * FONT_SIZE, visible(row.name), "end")
        if row.log10 is not None:
            length = max(frame.x(row.log10) - left, 1)
            hover(rectangle(frame.root, left, middle - 7, length, 14, colour(0), 0.75), f"{row.name}: {row.words}")
        text(frame.root, frame.right + 6, middle + 0.35 * FONT_SIZE, row.words)
    x = frame.x(limit_log10)
    line(frame.root, x, frame.top + 14, x, frame.bottom, WARNING, 2, "5 3")
    half = text_width(limit) / 2
    text(frame.root, min(max(x, half + 2), frame.right + right - half - 2), frame.top + 9, limit, "middle", WARNING)
    data = tuple((row.name, row.log10, row.words) for row in rows)
    return Figure(name, caption, frame.root, ("bound", "log10", "value"), (*data, (limit, limit_log10, "")))
