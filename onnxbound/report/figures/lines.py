"""Curves over layers or checkpoints."""

from dataclasses import dataclass
from math import log10

from onnxbound.report.figures.axis import Axis, axis_for
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.frame import add_vertical_axis, colour, framed
from onnxbound.report.figures.svg import MUTED, circle, hover, path, text, text_width
from onnxbound.report.words import number

_HEIGHT = 220.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: its name, and (position on the axis, value); a None breaks it."""

    name: str
    points: tuple[tuple[float, float | None], ...]


def lines(
    name: str, caption: str, horizontal: Axis, quantity: str, curves: tuple[Curve, ...], *, legend: bool = True
) -> Figure:
    """Draw curves, on a logarithmic axis where the values call for one.

    Args:
        name: Of the figure's file.
        caption: What it shows.
        horizontal: The axis below.
        quantity: What the values are, with their unit.
        curves: In the order of their colours.
        legend: Whether they are named above; else each has its name at a hover only.
    """
    values = [value for curve in curves for _, value in curve.points if value is not None]
    vertical, scaled = axis_for(quantity, values)
    names = tuple(curve.name for curve in curves) if legend else ()
    left = max(text_width(word) for _, word in vertical.ticks) + 12
    frame = framed(caption, horizontal, _HEIGHT, left=left, above=30, legend=names)
    text(frame.root, 4, frame.top - 12, vertical.label, fill=MUTED)
    add_vertical_axis(frame, vertical)
    for position, curve in enumerate(curves):
        piece: list[tuple[float, float]] = []
        for at, value in (*curve.points, (0.0, None)):
            if value is not None:
                piece.append((frame.x(at), frame.y(vertical, log10(value) if scaled else value)))
            elif piece:
                path(frame.root, piece, colour(position))
                piece = []
        for at, value in curve.points:
            if value is not None:
                y = frame.y(vertical, log10(value) if scaled else value)
                hover(
                    circle(frame.root, frame.x(at), y, 3, colour(position)),
                    f"{curve.name}, {number(at)}: {number(value)}",
                )
    data = tuple((curve.name, at, value) for curve in curves for at, value in curve.points)
    return Figure(name, caption, frame.root, ("curve", "at", "value"), data)


def steps(label: str, words: tuple[str, ...]) -> Axis:
    """An axis of equally spaced things, counted from 1."""
    shown = max(1, -(-len(words) // 12))
    ticks = tuple((float(k), word) for k, word in enumerate(words, start=1) if (k - 1) % shown == 0)
    return Axis(label, 0.7, len(words) + 0.3, ticks)
