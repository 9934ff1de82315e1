"""Values with their intervals, one below the other on a fixed axis."""

from dataclasses import dataclass

from onnxbound.errors import visible
from onnxbound.report.figures.axis import linear
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.frame import colour, framed
from onnxbound.report.figures.svg import FONT_SIZE, MUTED, circle, hover, line, text, text_width
from onnxbound.report.words import number

_ROW_HEIGHT = 24.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with an interval; None where there is none."""

    name: str
    value: float | None
    low: float | None
    high: float | None


def intervals(name: str, caption: str, quantity: str, rows: tuple[Interval, ...], low: float, high: float) -> Figure:
    """Draw a dot and a line per row.

    Args:
        name: Of the figure's file.
        caption: What it shows.
        quantity: What the axis shows.
        rows: From the top.
        low: Left end of the axis.
        high: Right end.
    """
    axis = linear(quantity, [low, high])
    left = max(text_width(visible(row.name)) for row in rows) + 10
    frame = framed(caption, axis, _ROW_HEIGHT * len(rows), left=left, right=text_width("-0.123") + 10)
    if low < 0 < high:
        line(frame.root, frame.x(0), frame.top, frame.x(0), frame.bottom, MUTED)
    for position, row in enumerate(rows):
        y = frame.top + _ROW_HEIGHT * (position + 0.5)
        text(frame.root, left - 6, y + 0.35 * FONT_SIZE, visible(row.name), "end")
        if row.low is not None and row.high is not None:
            line(frame.root, frame.x(row.low), y, frame.x(row.high), y, colour(0), 2)
        if row.value is not None:
            hover(circle(frame.root, frame.x(row.value), y, 4, colour(0)), f"{row.name}: {number(row.value)}")
        text(frame.root, frame.right + 6, y + 0.35 * FONT_SIZE, number(row.value))
    return Figure(
        name,
        caption,
        frame.root,
        ("name", "value", "low", "high"),
        tuple((r.name, r.value, r.low, r.high) for r in rows),
    )
