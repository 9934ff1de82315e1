"""Classes, worst rows and distributions of a report, for people in a terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from onnxbound.analysis.result import Report
from onnxbound.analysis.sections import WorstRow
from onnxbound.errors import visible
from onnxbound.report.plain_table import plain_table
from onnxbound.report.terminal import sparkline
from onnxbound.report.words import number
from onnxbound.stability.catalogue import PLOTTED


def breakdown(report: Report, *, verbose: bool) -> Iterator[RenderableType]:
    """The worst rows where they were asked for; verbose, distributions and classes too."""
    if verbose:
        yield Text("\nDistributions over the rows, from the smallest to the largest value", style="bold")
        yield _distributions(report)
        yield Text("\nClasses", style="bold")
        yield _classes(report)
    for name, rows in (("margin", report.worst.smallest_margin), ("layer cushion", report.worst.smallest_cushion)):
        if rows:
            yield Text(f"\nRows of smallest {name}, by their place in the data file", style="bold")
            yield _rows(rows)


def _distributions(report: Report) -> RenderableType:
    table = plain_table("property", "layer", "distribution", "smallest", "largest", left=3)
    for prop in PLOTTED:
        for layer in report.layers:
            found = layer.statistics[prop.name]
            if found is not None:
                line = Text(sparkline(found.histogram.counts))
                name = Text(f"{layer.index} {visible(layer.name)[-16:]}")
                table.add_row(prop.topic.name, name, line, number(found.min), number(found.max))
    return table


def _classes(report: Report) -> RenderableType:
    table = plain_table("class", "rows", "error", "margin, min", "median", "cushion, min", "at layer")
    for found in report.per_class:
        known = [(value, layer) for layer, value in enumerate(found.layer_cushion_min, start=1) if value is not None]
        cushion, layer = min(known, default=(None, None))
        table.add_row(
            str(found.label),
            f"{found.rows:,}",
            f"{found.train_error:.2%}",
            number(found.margin_min),
            number(found.margin_median),
            number(cushion),
            number(layer),
        )
    return table


def _rows(rows: tuple[WorstRow, ...]) -> RenderableType:
    table = plain_table("row", "class", "margin", "cushion, min", "at layer")
    for row in rows:
        table.add_row(str(row.index), str(row.label), number(row.margin), number(row.layer_cushion), str(row.layer))
    return table
