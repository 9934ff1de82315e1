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
            statistic = layer.statistics[prop.name]
            if statistic is not None:
                line = Text(sparkline(statistic.histogram.counts))
                name = Text(f"{layer.index} {visible(layer.name)[-16:]}")
                table.add_row(prop.topic.name, name, line, number(statistic.min), number(statistic.max))
    return table


def _classes(report: Report) -> RenderableType:
    table = plain_table("class", "rows", "error", "margin, min", "median", "cushion, min", "at layer")
    for own in report.per_class:
        known = [(value, layer) for layer, value in enumerate(own.layer_cushion_min, start=1) if value is not None]
        cushion, layer = min(known, default=(None, None))
        table.add_row(
            str(own.label),
            f"{own.rows:,}",
            f"{own.train_error:.2%}",
            number(own.margin_min),
            number(own.margin_median),
            number(cushion),
            number(layer),
        )
    return table


def _rows(rows: tuple[WorstRow, ...]) -> RenderableType:
    table = plain_table("row", "class", "margin", "cushion, min", "at layer")
    for row in rows:
        table.add_row(str(row.index), str(row.label), number(row.margin), number(row.layer_cushion), str(row.layer))
    return table
