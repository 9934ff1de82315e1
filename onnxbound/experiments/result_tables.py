"""The experiments for people in a terminal."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onnxbound.errors import visible
from onnxbound.experiments.attenuation import Attenuation
from onnxbound.experiments.comparison import Comparison, LayerComparison
from onnxbound.experiments.nets import Net
from onnxbound.experiments.ranking import Ranking, Track
from onnxbound.report.plain_table import plain_table
from onnxbound.report.terminal import bar, sparkline
from onnxbound.report.words import number, shortened

_MOST_TARGETS = 8


def render_noise(attenuation: Attenuation, console: Console) -> None:
    """[A] Fig. 1 as numbers: a row per layer where noise enters, a column per layer where it arrives."""
    console.print(
        Text(f"{visible(attenuation.model)} at {attenuation.measured_rows:,} rows of {visible(attenuation.data)}")
    )
    console.print(
        f"noise of {number(attenuation.radius)} times the length of a layer's input: relative error behind the layers,"
        " median"
    )
    depth = len(attenuation.layer_names)
    shown = sorted({1 + round(k * (depth - 1) / (_MOST_TARGETS - 1)) for k in range(_MOST_TARGETS)})
    table = plain_table("noise into", "", *(str(target) for target in shown), left=1)
    for curve in attenuation.curves:
        arrived = {a.target: a.relative_error for a in curve.arrivals}
        cells = ("" if arrived.get(j) is None else number(arrived[j].median) for j in shown)  # type: ignore[union-attr]
        table.add_row(str(curve.source), Text(visible(attenuation.layer_names[curve.source - 1])[-16:]), *cells)
    console.print(table)


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Medians and distributions per property and layer, and what can be said of each pair of nets."""
    console.print(_nets(list(comparison.nets)))
    _print_warnings(comparison.warnings, console)
    for name, group in groupby(comparison.properties, key=lambda layer: layer.property):
        console.print(Text(f"\n{name.replace('_', ' ')}", style="bold"))
        table = plain_table("layer", "net", "distribution", "median", "larger than in", left=3)
        for layer in group:
            _add_layer(table.add_row, layer, comparison.nets)
        console.print(table)
    said = "\nshare of the rows on which a net has the larger value; all intervals together hold with 95 %"
    console.print(Text(said, style="dim"))


def _add_layer(add_row: object, layer: LayerComparison, nets: tuple[Net, ...]) -> None:
    assert callable(add_row)
    for position, (net, histogram, median) in enumerate(zip(nets, layer.histograms, layer.medians, strict=True)):
        said = [
            f"{shortened(visible(nets[s.first - 1].name), 12)}: {s.share:.0%} ({s.low:.0%}-{s.high:.0%})"
            for s in layer.statements
            if s.second == position + 1
        ]
        line = "" if histogram is None else sparkline(histogram.counts)
        name, place = Text(shortened(visible(net.name), 20)), str(layer.layer) if layer.layer else "net"
        add_row(place if position == 0 else "", name, Text(line), number(median), Text("\n".join(said)))


def render_ranking(ranking: Ranking, console: Console) -> None:
    """Gaps, capacities and rank correlations."""
    console.print(_nets([standing.net for standing in ranking.standings]))
    _print_warnings(ranking.warnings, console)
    table = plain_table("net", "train error", "test error", "gap", "95 % interval", left=1)
    for standing in ranking.standings:
        interval = f"{standing.gap_low:.1%} to {standing.gap_high:.1%}"
        errors = (f"{standing.net.train_error:.2%}", f"{standing.test_error:.2%}", f"{standing.gap:.2%}")
        table.add_row(Text(shortened(visible(standing.net.name), 28)), *errors, interval)
    console.print(Text("\nGaps", style="bold"))
    console.print(table)
    _print_capacities(ranking, console)
    tracked = isinstance(ranking, Track)
    what = (
        "checkpoints depend on one another: no interval"
        if tracked
        else "95 % intervals, for five independent nets or more"
    )
    console.print(Text(f"\nRank correlation with the gap ({what})", style="bold"))
    table = plain_table("capacity", "tau-b, from -1 to 1", "tau-b", "from", "to", "nets", left=2)
    for entry in ranking.capacities:
        c = entry.correlation
        drawn = Text("" if c.tau is None else bar((c.tau + 1) / 2, 20))
        table.add_row(entry.capacity, drawn, number(c.tau), number(c.low), number(c.high), str(c.values))
    console.print(table)


def _print_capacities(ranking: Ranking, console: Console) -> None:
    names = [entry.capacity for entry in ranking.capacities]
    table = plain_table("net", *names, left=1)
    for standing in ranking.standings:
        logs = [standing.net.log10_capacities[name] for name in names]
        table.add_row(Text(shortened(visible(standing.net.name), 28)), *(number(log and round(log, 2)) for log in logs))
    console.print(Text("\nCapacities as plotted, log10", style="bold"))
    console.print(table)


def _print_warnings(warnings: Sequence[str], console: Console) -> None:
    if warnings:
        console.print(Text("\nBefore you read the numbers", style="bold yellow"))
    for warning in warnings:
        console.print(Padding(Text(visible(warning)), (0, 0, 0, 2)))


def _nets(nets: list[Net]) -> Table:
    table = plain_table("net", "file", "layers", "parameters", "train error", "gamma", left=2)
    for net in nets:
        table.add_row(
            Text(shortened(visible(net.name), 28)),
            Text(visible(net.path)),
            str(net.depth),
            f"{net.parameters:,}",
            f"{net.train_error:.2%}",
            number(net.gamma),
        )
    table.columns[0].no_wrap = True
    return table
