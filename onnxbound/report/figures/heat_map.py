"""A matrix over pairs of layers, as colours."""

from collections.abc import Mapping
from math import log10

from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.frame import LINE_HEIGHT, WIDTH, shade
from onnxbound.report.figures.svg import FONT_SIZE, INK, MUTED, canvas, hover, rectangle, text
from onnxbound.report.words import number

_LEGEND_STEPS = 24
_MOST_NUMBERS = 6
"""Layers up to which a cell has room for its number."""


def heat_map(name: str, caption: str, quantity: str, size: int, values: Mapping[tuple[int, int], float]) -> Figure:
    """Draw a matrix.

    Args:
        name: Of the figure's file.
        caption: What it shows.
        quantity: What the colours mean.
        size: d; rows are sources 1 to d - 1, columns targets 2 to d.
        values: Of pairs (source, target), 1-based; those that are not there stay empty.
    """
    shown = max(size - 1, 1)
    left, top = 30.0, 2.6 * LINE_HEIGHT
    cell = min((WIDTH - left - 14) / shown, 60.0)
    bottom = top + cell * shown
    root = canvas(WIDTH, bottom + 4 * LINE_HEIGHT, caption)
    rectangle(root, 0, 0, WIDTH, bottom + 4 * LINE_HEIGHT, "#ffffff")
    text(root, left, LINE_HEIGHT, "from layer (row) to layer (column)", fill=MUTED)
    every = max(1, round(2.2 * FONT_SIZE / cell))
    for position in range(0, shown, every):
        middle = cell * (position + 0.5)
        text(root, left + middle, top - 5, str(position + 2), "middle", MUTED)
        text(root, left - 6, top + middle + 0.35 * FONT_SIZE, str(position + 1), "end", MUTED)
    positive = [log10(value) for value in values.values() if value > 0]
    low, high = (min(positive), max(positive)) if positive else (0.0, 0.0)

    def share(value: float) -> float:
        """0 for the smallest value, 1 for the largest, on a logarithmic scale."""
        return (log10(value) - low) / (high - low) if value > 0 and high > low else float(value > 0)

    for (source, target), value in sorted(values.items()):
        x, y = left + cell * (target - 2), top + cell * (source - 1)
        dark = share(value)
        hover(rectangle(root, x, y, cell - 1, cell - 1, shade(dark)), f"layer {source} to {target}: {number(value)}")
        if shown <= _MOST_NUMBERS:
            words = text(root, x + cell / 2, y + cell / 2 + 0.35 * FONT_SIZE, number(value), "middle")
            words.set("fill", "#ffffff" if dark > 0.5 else INK)
    if positive:
        width = (WIDTH - left - 14) / _LEGEND_STEPS
        for step in range(_LEGEND_STEPS):
            rectangle(
                root, left + width * step, bottom + LINE_HEIGHT, width + 0.5, 10, shade(step / (_LEGEND_STEPS - 1))
            )
        below = bottom + 2.5 * LINE_HEIGHT
        text(root, left, below, number(10**low))
        text(root, WIDTH - 14, below, number(10**high), "end")
        text(root, (left + WIDTH - 14) / 2, below + LINE_HEIGHT, f"{quantity} (log scale)", "middle")
    data = tuple((source, target, value) for (source, target), value in sorted(values.items()))
    return Figure(name, caption, root, ("source", "target", "value"), data)
