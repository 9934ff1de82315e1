"""A report for people in a terminal."""

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onnxbound.analysis.result import Report
from onnxbound.bounds.bound import Bound
from onnxbound.errors import visible
from onnxbound.report.breakdown_tables import breakdown
from onnxbound.report.plain_table import plain_table
from onnxbound.report.terminal import bar
from onnxbound.report.words import error_at_most, magnitude, marked, number, percentage, rows_of_columns
from onnxbound.results import Statistic
from onnxbound.stability.catalogue import OF_LAYERS, OF_PAIRS
from onnxbound.stability.property import Property

_BAR = 16
"""Characters of the longest bar."""


def render(report: Report, console: Console, *, verbose: bool) -> None:
    """Print the report: what was measured, warnings, layers, pairs, bounds."""
    console.print(Group(*_parts(report, verbose=verbose)), soft_wrap=False)


def _parts(report: Report, *, verbose: bool) -> Iterator[RenderableType]:
    yield _head(report)
    if report.warnings:
        yield Text("\nBefore you read the numbers", style="bold yellow")
        for warning in report.warnings:
            yield Padding(Text(f"{visible(warning)}"), (0, 0, 0, 2))
    yield Text("\nLayers", style="bold")
    yield _layers(report)
    yield Padding(Text(_pairs_in_words(report), style="dim"), (0, 0, 0, 2))
    if verbose:
        yield Text("\nNorms", style="bold")
        yield _norms(report)
        yield Text("\nPairs", style="bold")
        yield _pairs(report)
    yield from breakdown(report, verbose=verbose)
    yield Text("\nCapacities as plotted: constants dropped, for comparison only", style="bold")
    yield _plotted(report)
    yield Text("\nBounds on the error of new rows, every constant in them", style="bold")
    yield _explicit(report)
    if any(bound.value is not None and bound.vacuous for bound in report.bounds if bound.kind != "as_plotted"):
        chance = f"{1 - 1 / report.data.classes:.0%}"
        yield Text(f"  vacuous: no better than guessing, which errs on {chance}, so it says nothing", style="dim")


def _head(report: Report) -> Table:
    model, data, margin = report.model, report.data, report.margin
    test = "" if data.test_error is None else f", test error {data.test_error:.2%}"
    gamma = f"gamma {number(margin.gamma)} ({margin.gamma_source.replace('_', ' ')})"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    grid.add_row("model", Text(visible(model.path)))
    grid.add_row("", f"{model.topology} of {model.depth} layers, {model.parameters:,} parameters, opset {model.opset}")
    grid.add_row("data", Text(visible(data.path)))
    grid.add_row("", f"{data.rows:,} rows, {data.measured_rows:,} measured, {data.classes} classes")
    grid.add_row("errors", f"training error {data.train_error:.2%}{test}")
    grid.add_row("margin", f"{gamma}; median {number(margin.median)}, max |f(x)| {number(margin.max_logit_norm)}")
    grid.add_row("run", f"{report.tool.device}, {report.tool.seconds:.1f} s, form {report.settings['form']}")
    return grid


def _of(statistic: Statistic | None, field: str) -> str:
    return number(None) if statistic is None else marked(number(getattr(statistic, field)), statistic.kind)


def _layers(report: Report) -> Table:
    columns = ("", "layer", "weights", *(heading for _, heading in _headings()), "q", "q/weights")
    table = plain_table(*columns, left=2)
    for layer in report.layers:
        table.add_row(
            str(layer.index),
            Text(f"{visible(layer.name)[-20:]}"),
            f"{layer.parameters:,}",
            *(_of(layer.statistics[p.name], p.extreme) for p, _ in _headings()),
            marked(number(layer.effective_parameters), layer.basis),
            marked(percentage(layer.compression_percent), layer.basis),
        )
    return table


def _headings() -> list[tuple[Property, str]]:
    return [(prop, prop.heading) for prop in OF_LAYERS if prop.heading]


def _pairs_in_words(report: Report) -> str:
    known = [pair for pair in report.pairs if pair.smoothness_holds is not None]
    if not known:
        return f"{rows_of_columns(report, _headings())}; no pair of layers"
    holds, limit = sum(bool(pair.smoothness_holds) for pair in known), 3 * report.model.depth
    return (
        f"{rows_of_columns(report, _headings())}; smoothness 1/rho <= 1/{limit} on {holds} of {len(known)} pairs under"
        f" {_noise(report)}"
    )


def _noise(report: Report) -> str:
    if report.settings.get("noise") == "compression":
        return "the noise of compression"
    return "gaussian noise, from which no theorem follows"


def _norms(report: Report) -> Table:
    columns = ("", "|A|_F", "|A|_2 kernel", "estimate", "upper", "stable rank", "noise sens.", "1/rho out")
    table = plain_table(*columns, left=1)
    for layer in report.layers:
        spectral = layer.spectral_norm
        values = (layer.frobenius_norm, spectral.kernel_matrix, spectral.estimate, spectral.upper.value)
        table.add_row(
            str(layer.index),
            *map(number, values),
            number(layer.stable_rank),
            _of(layer.noise_sensitivity, "median"),
            _of(layer.smoothness_inverse, "max"),
        )
    return table


def _pairs(report: Report) -> Table:
    names = (f"{prop.topic.name.replace('_', ' ')}, {prop.extreme}" for prop in OF_PAIRS)
    table = plain_table("", "|J|_F", *names, "smooth", left=2)
    for pair in report.pairs:
        table.add_row(
            f"{pair.source} to {pair.target}",
            pair.method,
            *(_of(pair.statistics[p.name], p.extreme) for p in OF_PAIRS),
            {True: "yes", False: "no", None: number(None)}[pair.smoothness_holds],
        )
    return table


def _plotted(report: Report) -> Table:
    table = plain_table("", "source", "log scale", "value", "value / rows", left=3)
    bounds = _of_kind(report, "as_plotted")
    highest = max((bound.log10 for bound in bounds if bound.log10 is not None), default=0.0)
    for bound in bounds:
        per_row = None if bound.value is None else bound.value / report.data.rows
        drawn = Text("" if bound.log10 is None else bar(bound.log10 / max(highest, 1.0), _BAR))
        numbers = (magnitude(bound.value, bound.log10), number(per_row))
        table.add_row(bound.name, bound.reference, drawn, *(marked(words, bound.basis) for words in numbers))
    return table


def _explicit(report: Report) -> Table:
    table = plain_table("", "precondition", "error at most", left=2)
    words = {True: "met", False: "not met", None: "open"}
    for bound in (*_of_kind(report, "explicit"), *_of_kind(report, "certified")):
        table.add_row(bound.name, f"{words[bound.met]}: {bound.met_reason}", error_at_most(bound))
    return table


def _of_kind(report: Report, kind: str) -> list[Bound]:
    return [bound for bound in report.bounds if bound.kind == kind]
