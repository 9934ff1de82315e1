"""Curves over layers or checkpoints."""

from dataclasses import dataclass
from math import log10

from onnxbound.report.figures.axis import Axis, axis_for
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.frame import add_vertical_axis, colour, framed, shade
from onnxbound.report.figures.svg import MUTED, circle, hover, path, text, text_width
from onnxbound.report.words import number

_HEIGHT = 220.0
_MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: its name, and (position on the axis, value); a None breaks it."""

    name: str
    points: tuple[tuple[float, float | None], ...]


def lines(
    name: str,
    caption: str,
    horizontal: Axis,
    quantity: str,
    curves: tuple[Curve, ...],
    *,
    nets: tuple[str, ...] = (),
) -> Figure:
    """Draw curves, on a logarithmic axis where the values call for one.

    Many curves are shaded from the first to the last, and only these two are named.

    Args:
        name: Of the figure's file.
        caption: What it shows.
        horizontal: The axis below.
        quantity: What the values are, with their unit.
        curves: In the order of their colours; those without a value are not named.
        nets: What is at 1, 2 and so on, where these are nets: hovering and the data say so.
    """
    values = [value for curve in curves for _, value in curve.points if value is not None]
    vertical, scaled = axis_for(quantity, values)
    colours, legend = _colours(curves)
    left = max(text_width(word) for _, word in vertical.ticks) + 12
    frame = framed(caption, horizontal, _HEIGHT, left=left, above=30, legend=legend)
    text(frame.root, 4, frame.top - 12, vertical.label, fill=MUTED)
    add_vertical_axis(frame, vertical)
    for position, curve in enumerate(curves):
        piece: list[tuple[float, float]] = []
        for at, value in (*curve.points, (0.0, None)):
            if value is not None:
                piece.append((frame.x(at), frame.y(vertical, log10(value) if scaled else value)))
            elif piece:
                path(frame.root, piece, colours[position])
                piece = []
        for at, value in curve.points:
            if value is not None:
                y = frame.y(vertical, log10(value) if scaled else value)
                hover(
                    circle(frame.root, frame.x(at), y, 3, colours[position]),
                    f"{curve.name}, {nets[int(at) - 1] if nets else number(at)}: {number(value)}",
                )
    data = tuple((curve.name, at, value) for curve in curves for at, value in curve.points)
    if nets:
        named = tuple((curve, nets[int(at) - 1], at, value) for curve, at, value in data)
        return Figure(name, caption, frame.root, ("curve", "net", "at", "value"), named)
    return Figure(name, caption, frame.root, ("curve", "at", "value"), data)


def _colours(curves: tuple[Curve, ...]) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """A colour per curve, and the names to show with theirs."""
    many = len(curves) > _MOST_NAMES
    last = max(len(curves) - 1, 1)
    colours = [shade(0.25 + 0.75 * k / last) if many else colour(k) for k in range(len(curves))]
    drawn = [k for k, curve in enumerate(curves) if any(value is not None for _, value in curve.points)]
    named = drawn[:1] + drawn[-1:] if many else drawn
    return colours, tuple((curves[k].name, colours[k]) for k in named)


def steps(label: str, words: tuple[str, ...]) -> Axis:
    """An axis of equally spaced things, counted from 1."""
    shown = max(1, -(-len(words) // 12))
    ticks = tuple((float(k), word) for k, word in enumerate(words, start=1) if (k - 1) % shown == 0)
    return Axis(label, 0.7, len(words) + 0.3, ticks)
