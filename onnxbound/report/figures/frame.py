"""The frame of a plot: axes, ticks, grid, legend, and the way from values to places."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from onnxbound.errors import visible
from onnxbound.report.figures.axis import Axis
from onnxbound.report.figures.svg import FONT_SIZE, GRID, INK, MUTED, SERIES, canvas, line, rectangle, text, text_width
from onnxbound.report.words import shortened

WIDTH = 370.0
"""Of every figure: what a phone shows at about its own size."""

LINE_HEIGHT = 1.5 * FONT_SIZE

_DARK = (8, 48, 107)
_LIGHT = (226, 238, 249)


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing and its plotting area, in the drawing's units.

    Attributes:
        root: The drawing.
        left: Left end of the area.
        right: Right end.
        top: Upper end.
        bottom: Lower end.
        horizontal: The axis along it.
    """

    root: Element
    left: float
    right: float
    top: float
    bottom: float
    horizontal: Axis

    def x(self, value: float) -> float:
        """Where a value of the horizontal axis lies."""
        return self.left + self.horizontal.share(value) * (self.right - self.left)

    def y(self, axis: Axis, value: float) -> float:
        """Where a value of a vertical axis lies."""
        return self.bottom - axis.share(value) * (self.bottom - self.top)


def framed(
    title: str,
    horizontal: Axis,
    height: float,
    *,
    left: float,
    right: float = 14,
    above: float = 6,
    legend: tuple[tuple[str, str], ...] = (),
) -> Frame:
    """A drawing with a horizontal axis below an area of a given height, and a legend above it.

    Args:
        title: What the figure shows, for screen readers.
        horizontal: The axis.
        height: Of the area.
        left: Space left of the area.
        right: Space right of it.
        above: Space between the area and the legend.
        legend: Names of series, and their colours.
    """
    top = above + LINE_HEIGHT * len(legend)
    bottom = top + height
    root = canvas(WIDTH, bottom + 2.6 * LINE_HEIGHT, title)
    rectangle(root, 0, 0, WIDTH, bottom + 2.6 * LINE_HEIGHT, "#ffffff")
    for position, (name, fill) in enumerate(legend):
        y = 6 + LINE_HEIGHT * position
        rectangle(root, left, y, 10, 10, fill)
        text(root, left + 16, y + 9, shortened(visible(name), int((WIDTH - left - 16) // (0.6 * FONT_SIZE))))
    frame = Frame(root, left, WIDTH - right, top, bottom, horizontal)
    for value, word in horizontal.ticks:
        line(root, frame.x(value), top, frame.x(value), bottom, GRID)
        half = text_width(word) / 2
        text(root, min(max(frame.x(value), half), WIDTH - half), bottom + LINE_HEIGHT, word, "middle", MUTED)
    line(root, left, bottom, frame.right, bottom, INK)
    half = text_width(horizontal.label) / 2
    middle = min(max((left + frame.right) / 2, half), WIDTH - half)
    text(root, middle, bottom + 2.2 * LINE_HEIGHT, horizontal.label, "middle")
    return frame


def add_vertical_axis(frame: Frame, axis: Axis) -> None:
    """Ticks, grid and label of an axis along the left side; the label stands above it."""
    for value, word in axis.ticks:
        y = frame.y(axis, value)
        line(frame.root, frame.left, y, frame.right, y, GRID)
        text(frame.root, frame.left - 5, y + 0.35 * FONT_SIZE, word, "end", MUTED)
    line(frame.root, frame.left, frame.top, frame.left, frame.bottom, INK)


def colour(series: int) -> str:
    """Of a series; they come round after six."""
    return SERIES[series % len(SERIES)]


def shade(share: float) -> str:
    """A colour of a scale, 0 the lightest and 1 the darkest.

    >>> shade(0), shade(1)
    ('#e2eef9', '#08306b')
    """
    parts = (round(light + share * (dark - light)) for light, dark in zip(_LIGHT, _DARK, strict=True))
    return "#" + "".join(f"{part:02x}" for part in parts)
