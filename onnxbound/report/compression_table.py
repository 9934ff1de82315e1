"""A compression for people in a terminal."""

from collections import Counter
from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onnxbound.errors import visible
from onnxbound.report.plain_table import plain_table
from onnxbound.report.words import at_most, number

if TYPE_CHECKING:
    from onnxbound.compressors.compression import BudgetSweep, Compression, RowCost, Spread
    from onnxbound.compressors.guarantee import Guarantee


def render_compression(report: "Compression", console: Console) -> None:
    """Print what was done to each layer, and what became of outputs, accuracy, size and time."""
    console.print(Group(*_parts(report)), soft_wrap=False)


def _parts(report: "Compression") -> Iterator[RenderableType]:
    if report.guarantee is not None:
        yield _promise(report.guarantee)
    yield _head(report)
    for warning in report.warnings:
        yield Padding(Text(visible(warning), style="yellow"), (0, 0, 0, 2))
    if report.tried:
        yield Text("\nTried", style="bold")
        yield _tried(report)
    yield Text("\nLayers", style="bold")
    yield _layers(report)
    if report.compressibility is not None:
        yield Text("\nDoes the compressed net stand for the original at gamma?", style="bold")
        yield _compressibility(report)
    if report.sweep is not None:
        yield Text("\nOther budgets", style="bold")
        yield _sweep(report.sweep)
        yield Text(f"  {_breaking(report.sweep)}")
    if report.bounds:
        yield Text("\nBounds on the error of new rows", style="bold")
        yield _bounds(report)


def _head(report: "Compression") -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    file, work = report.file, report.work
    share = file.bytes_after / file.bytes_before
    grid.add_row("file", f"{file.bytes_before:,} bytes to {file.bytes_after:,} ({share:.1%}){_codes(report)}")
    grid.add_row("method", f"{report.method}{_budget(report)}, seed {report.seed}")
    grid.add_row("model", Text(visible(report.model)))
    grid.add_row("written", Text(visible(file.path)))
    kept = report.parameters
    if kept.after < kept.before:
        share = kept.after / kept.before
        grid.add_row("numbers", f"{kept.before:,.0f} weights to {kept.after:,.0f} numbers ({share:.1%})")
    grid.add_row("bits", f"{report.bits.before:,.0f} to {report.bits.after:,.0f}, everything counted")
    grid.add_row("time", _time(work))
    error = report.output.relative_error
    rows = f"{report.output.rows:,} rows" + (" of normal noise" if report.output.source == "noise" else "")
    grid.add_row("outputs", f"relative error {number(error.median)} median, {number(error.max)} largest, on {rows}")
    if report.accuracy is not None:
        grid.add_row("accuracy", f"{report.accuracy.before:.2%} to {report.accuracy.after:.2%} on the training rows")
    if report.margin_loss is not None:
        loss = report.margin_loss
        source = loss.gamma_source.replace("_", " ")
        grid.add_row("margin loss", f"{loss.before:.2%} to {loss.after:.2%} at gamma {number(loss.gamma)} ({source})")
    if report.margins is not None:
        before, after = report.margins.before, report.margins.after
        grid.add_row("margins", f"median {number(before.median)} to {number(after.median)}")
    checker = {(True, True): "passes onnx.checker", (True, False): "FAILS onnx.checker, which the original passes"}
    checked = checker.get((file.checker_before, file.checker_after), "onnx.checker does not take the original either")
    grid.add_row("checked", f"{checked}; onnxruntime and NumPy differ by {number(file.numpy_difference)} of a logit")
    return grid


def _time(work: "RowCost") -> str:
    """Of onnxruntime, as a ratio with the limits that nine rounds give."""
    between = f"{work.ratio_low:.2f} to {work.ratio_high:.2f} with 96 % confidence"
    said = f"{work.ratio:.2f} times ({between})"
    if work.ratio_low <= 1 <= work.ratio_high:
        said = f"no difference measurable here: {between}"
    adds = work.multiply_adds
    return f"{said}; multiply-adds {adds.before:,.0f} to {adds.after:,.0f}"


def _budget(report: "Compression") -> str:
    budget = report.settings.get("budget")
    if budget is not None:
        return f", {budget['knob']} {budget['value']:g}"
    return ", a budget per layer" if report.settings.get("budgets") else ""


def _codes(report: "Compression") -> str:
    return "" if report.file.codes_bytes is None else f", codes {report.file.codes_bytes:,}"


def _promise(guarantee: "Guarantee") -> Text:
    """Whether the drop in accuracy is within what was asked for, and how that is known."""
    found, allowed = guarantee.measured, f"{guarantee.max_drop:.2%}"
    seen = f"{found.worse:,} of {found.rows:,} rows got worse, {found.better:,} better, a drop of {found.drop:.2%}"
    if guarantee.limit is None:
        said = f"Not guaranteed, since no test rows were given. On training rows set apart: {seen}."
        return Text(said, style="yellow")
    at_most = f"at most {ceil(1e4 * guarantee.limit) / 1e4:.2%} with {guarantee.confidence:.4g} confidence"
    if guarantee.held:
        return Text(f"On new rows accuracy falls by {at_most}: {seen}.", style="green")
    return Text(f"NOT GUARANTEED to fall by at most {allowed}: on new rows {at_most}; {seen}.", style="bold red")


def _tried(report: "Compression") -> Table:
    """Every plan, the largest file first; "3 x 8" stands for three layers of 8 bits."""
    table = plain_table(
        "bits", "bytes", "rows apart", "worse", "better", "test rows", "worse", "better", "drop", left=1
    )
    for attempt in report.tried:
        counts = Counter(attempt.widths.values())
        plan = ", ".join(f"{number} x {width}" for width, number in sorted(counts.items(), reverse=True))
        seen = [attempt.chosen_by] + ([] if attempt.tested_by is None else [attempt.tested_by])
        numbers = [f"{number:,}" for found in seen for number in (found.rows, found.worse, found.better)]
        limits = [f"{ceil(1e4 * found.limit) / 1e4:.2%}" for found in seen if found.limit is not None]
        table.add_row(plan, f"{attempt.bytes:,}", *numbers, *limits)
    return table


def _layers(report: "Compression") -> Table:
    """What happened to each layer; columns that are empty throughout are left out."""
    asked = any(layer.epsilon_asked is not None for layer in report.layers)
    effective = any(layer.effective_parameters is not None for layer in report.layers)
    columns = ("", "layer", "method", "weights", "numbers", "bits", "realised", "error")
    table = plain_table(*columns, *(["eps asked"] if asked else []), *(["q"] if effective else []), left=3)
    for layer in report.layers:
        table.add_row(
            ",".join(map(str, layer.indices)),
            Text(visible(layer.name)[-18:]),
            layer.method,
            f"{layer.parameters_before:,}",
            f"{layer.parameters_after:,}",
            f"{layer.bits_after:,}",
            number(layer.epsilon_realised),
            _median(layer.relative_error),
            *([number(layer.epsilon_asked)] if asked else []),
            *([number(layer.effective_parameters)] if effective else []),
        )
    return table


def _median(spread: "Spread | None") -> str:
    return number(None if spread is None else spread.median)


def _compressibility(report: "Compression") -> Table:
    assert report.compressibility is not None
    table = plain_table("", "", "rows against it", left=2)
    found = report.compressibility
    forms = {
        "|f(x)[y] - g(x)[y]| <= gamma / 2 for every y": found.per_logit,
        "|f(x) - g(x)|_2 <= gamma / sqrt 2": found.in_norm,
        "errors of g are at most the rows of f with margin <= gamma": found.own_errors,
    }
    for name, form in forms.items():
        table.add_row(Text(name), "held" if form.held else "not held", f"{form.violations:,}")
    return table


def _sweep(sweep: "BudgetSweep") -> Table:
    table = plain_table("budget", "numbers", "bits", "accuracy", left=1)
    for point in sweep.points:
        table.add_row(
            f"{point.knob} {number(point.value)}", f"{point.parameters:,}", f"{point.bits:,}", f"{point.accuracy:.2%}"
        )
    return table


def _breaking(sweep: "BudgetSweep") -> str:
    head = f"on {sweep.rows:,} rows, of which the original gets {sweep.accuracy_before:.2%}: "
    if sweep.breaks_below is None:
        return f"{head}no budget tried keeps accuracy within {sweep.tolerated_drop:.2%}"
    at = sweep.breaks_below
    return (
        f"{head}accuracy breaks, by more than {sweep.tolerated_drop:.2%}, below {at.knob} {number(at.value)},"
        f" {at.parameters:,} numbers"
    )


def _bounds(report: "Compression") -> Table:
    table = plain_table("", "", "at most", left=2)
    words = {True: "met: ", False: "not met: ", None: "open: "}
    for bound in report.bounds:
        plotted = bound.kind == "as_plotted"
        value = (number if plotted else at_most)(bound.value) + (
            " (vacuous)" if bound.value is not None and bound.vacuous and not plotted else ""
        )
        said = "as plotted, of the original, for comparison only" if plotted else words[bound.met] + bound.met_reason
        if bound.name.startswith("theorem"):
            said += " (of the original)"
        table.add_row(bound.name, said, value)
    return table
