"""Histograms one below the other on one axis: a row per layer, a colour per net."""

from dataclasses import dataclass
from itertools import pairwise
from math import log10

from onnxbound.errors import visible
from onnxbound.report.figures.axis import axis_for
from onnxbound.report.figures.figure import Cell, Figure
from onnxbound.report.figures.frame import WIDTH, Frame, colour, framed
from onnxbound.report.figures.svg import FONT_SIZE, GRID, hover, line, path, rectangle, text, text_width
from onnxbound.report.words import number, shortened
from onnxbound.results import Histogram

_ROW_HEIGHT = 40.0
_LABEL = 14


@dataclass(frozen=True, slots=True)
class Ridge:
    """One row: its label, and a histogram per series; None where a series has none there."""

    label: str
    histograms: tuple[Histogram | None, ...]


def ridges(name: str, caption: str, quantity: str, rows: tuple[Ridge, ...], series: tuple[str, ...]) -> Figure:
    """Draw histograms; within a row all are to the same scale, which is another in each row.

    Args:
        name: Of the figure's file.
        caption: What it shows.
        quantity: What the axis shows, with its unit.
        rows: From the top.
        series: Names of the nets; a single one gets no legend.
    """
    edges = [edge for row in rows for histogram in row.histograms if histogram is not None for edge in histogram.edges]
    axis, scaled = axis_for(quantity, edges)
    labels = [_short(visible(row.label)) for row in rows]
    left = min(max(map(text_width, labels), default=0) + 10, WIDTH / 3)
    legend = tuple((name, colour(position)) for position, name in enumerate(series)) if len(series) > 1 else ()
    frame = framed(caption, axis, _ROW_HEIGHT * len(rows), left=left, legend=legend)
    for position, (row, label) in enumerate(zip(rows, labels, strict=True)):
        base = frame.top + _ROW_HEIGHT * (position + 1)
        line(frame.root, frame.left, base, frame.right, base, GRID)
        text(frame.root, frame.left - 5, base - 0.4 * FONT_SIZE, label, "end")
        largest = max((max(histogram.counts) for histogram in row.histograms if histogram is not None), default=0)
        for number_of_series, histogram in enumerate(row.histograms):
            if histogram is not None:
                _draw(frame, histogram, base, (_ROW_HEIGHT - 6) / max(largest, 1), number_of_series, scaled=scaled)
    return Figure(name, caption, frame.root, ("row", "series", "from", "to", "rows"), _data(rows, series))


def _short(label: str) -> str:
    """A label whose first word, the layer's number, stays.

    >>> _short("17 features/block/conv")
    '17 …block/conv'
    """
    first, _, rest = label.partition(" ")
    return label if len(label) <= _LABEL else f"{first} {shortened(rest, _LABEL - len(first) - 1)}"


def _draw(frame: Frame, histogram: Histogram, base: float, scale: float, series: int, *, scaled: bool) -> None:
    def x(value: float) -> float:
        return frame.x(log10(value) if scaled else value)

    outline = [(x(histogram.edges[0]), base)]
    for (low, high), count in zip(pairwise(histogram.edges), histogram.counts, strict=True):
        top = base - scale * count
        outline += [(x(low), top), (x(high), top)]
    path(frame.root, [*outline, (x(histogram.edges[-1]), base)], colour(series), colour(series))
    for (low, high), count in zip(pairwise(histogram.edges), histogram.counts, strict=True):
        if count:
            bar = rectangle(
                frame.root, x(low), base - scale * count, max(x(high) - x(low), 0.5), scale * count, "#ffffff", 0
            )
            hover(bar, f"{number(low)} to {number(high)}: {count:,} rows")


def _data(rows: tuple[Ridge, ...], series: tuple[str, ...]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (row.label, name, low, high, count)
        for row in rows
        for name, histogram in zip(series, row.histograms, strict=True)
        if histogram is not None
        for (low, high), count in zip(pairwise(histogram.edges), histogram.counts, strict=True)
    )
