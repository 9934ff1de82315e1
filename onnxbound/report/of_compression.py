"""The view of a compression."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, log
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbound.report.view import Facts, Section, Table, View, command
from onnxbound.report.words import error_at_most, magnitude
from onnxbound.version import __version__
from onnxbound.words import counted, number, percent

if TYPE_CHECKING:
    from onnxbound.compressors.compression import BudgetSweep, Compression, RowCost
    from onnxbound.compressors.guarantee import Changed, Guarantee

_TRIED = (
    "3 x 8 means three layers of 8 bits. Worse: training rows kept apart on which only the original is right. Better:"
    " on which only the candidate is right."
)
_TESTED = (
    " There: the same on the test rows, where only some candidates were tested. The guarantee allows for all tests."
)
_LAYERS = (
    "Error: how far a layer's output moves, over its norm, median over some rows. Realised: how far the logits move"
    " through it, over the largest that the norms allow, the largest over these rows."
)
_CLOSE = (
    "These are the three ways in which [A] lets a compressed net stand for the original. Rounding seldom meets the"
    " first two, and nothing above depends on them."
)
_MET = {True: "met: ", False: "not met: ", None: "open: "}


def compression_view(report: "Compression") -> View:
    """Show the guarantee, the change of outputs, accuracy, size and time, and what was done to each layer."""
    found = report.guarantee
    return View(
        title=f"{Path(report.model).name or 'model'} by {report.method}",
        about=Facts((("model", report.model), ("written", report.file.path))),
        verdict=tuple(_verdict(report)),
        sections=(Section("The compressed net", (Facts(tuple(_facts(report))),)), *_sections(report)),
        caveats=report.warnings,
        next_steps=() if found is not None else (("to measure the loss of accuracy on new rows", _again(report)),),
        version=__version__,
    )


def _again(report: "Compression") -> str:
    return command("compress", report.model, data="TRAIN.npz", test="TEST.npz", output="small.onnx")


def _verdict(report: "Compression") -> Iterator[str]:
    if report.guarantee is not None:
        yield _promise(report.guarantee)
    file = report.file
    codes = "" if file.codes_bytes is None else f"; codes {file.codes_bytes:,} bytes"
    share = percent(file.bytes_after / file.bytes_before)
    yield f"The file has {file.bytes_after:,} bytes, {share} of the original's {file.bytes_before:,}{codes}."
    if report.accuracy is not None:
        before, after = percent(report.accuracy.before), percent(report.accuracy.after)
        few = report.training_rows is not None and report.training_rows != report.rows
        rows = f"{report.rows:,} of {report.training_rows:,}" if few else f"{report.rows:,}"
        yield f"Accuracy on {rows} training rows goes from {before} to {after}."


def _sections(report: "Compression") -> Iterator[Section]:
    if report.tried:
        tested = any(attempt.tested_by for attempt in report.tried)
        yield Section("Tried", (_tried(report), f"{_TRIED}{_TESTED if tested else ''}"))
    yield Section("Layers", (_layers(report), _LAYERS))
    if report.compressibility is not None:
        close = (_compressibility(report), _CLOSE)
        yield Section("Is the compressed net close to the original at gamma?", close, long=True)
    if report.sweep is not None:
        yield Section("Other budgets", (_sweep(report.sweep), _breaking(report.sweep)))
    if report.bounds:
        yield Section("Bounds on the error of new rows", (_bounds(report),))


def _facts(report: "Compression") -> Iterator[tuple[str, str]]:
    tuned = ", fine-tuned" if report.fine_tuned else ""
    yield "method", f"{report.method}{tuned}{_budget(report)}, seed {report.seed}"
    file, kept = report.file, report.parameters
    if kept.after < kept.before:
        share = percent(kept.after / kept.before)
        yield "weights", f"{kept.before:,.0f} to {kept.after:,.0f} ({share}), with the scales of rounding"
    yield "bits", f"{report.bits.before:,.0f} to {report.bits.after:,.0f}, everything counted"
    yield "time", _time(report.work)
    error = report.output.relative_error
    rows = f"{report.output.rows:,} rows" + (" of normal noise" if report.output.source == "noise" else "")
    yield "outputs", f"relative error {number(error.median)} median, {number(error.max)} largest, on {rows}"
    if report.margin_loss is not None:
        loss = report.margin_loss
        gamma = f"gamma {number(loss.gamma)} ({loss.gamma_source.replace('_', ' ')})"
        yield "margin loss", f"{percent(loss.before)} to {percent(loss.after)} of the rows have a margin up to {gamma}"
    if report.margins is not None:
        before, after = report.margins.before, report.margins.after
        yield "margin", f"median {number(before.median)} to {number(after.median)}"
    checker = {(True, True): "passes onnx.checker", (True, False): "FAILS onnx.checker, which the original passes"}
    checked = checker.get((file.checker_before, file.checker_after), "onnx.checker does not accept the original either")
    yield "checked", f"{checked}; onnxruntime and NumPy differ by {number(file.numpy_difference)} of a logit"


def _time(work: "RowCost") -> str:
    """Write the ratio of onnxruntime's times, with the limits that nine rounds give."""
    between, sure = f"{work.ratio_low:.2f} to {work.ratio_high:.2f}", "with 96 % confidence"
    said = f"{work.ratio:.2f} times the original's ({between} {sure})"
    if work.ratio_low <= 1 <= work.ratio_high:
        said = f"no difference measurable here: {between} times the original's, {sure}"
    adds = work.multiply_adds
    return f"{said}; multiply-adds {adds.before:,.0f} to {adds.after:,.0f}"


def _budget(report: "Compression") -> str:
    budget = report.settings.get("budget")
    if budget is not None:
        return f", {budget['knob']} {budget['value']:g}"
    return ", a budget per layer" if report.settings.get("budgets") else ""


def _promise(guarantee: "Guarantee") -> str:
    """Say whether the drop in accuracy is within the limit, and how that is known."""
    found, allowed = guarantee.measured, _points(guarantee.max_drop)
    seen = f"{found.worse:,} of {found.rows:,} rows got worse, {found.better:,} better, {_change(found)}"
    if guarantee.limit is None:
        return f"Not guaranteed, since no test rows were given. On the training rows that chose this file: {seen}."
    limit, sure = _upwards(guarantee.limit), f"with {percent(guarantee.confidence)} confidence"
    if limit < 0:
        return f"On new rows accuracy rises by at least {_points(-limit)} {sure}. On the test rows {seen}."
    at_most = f"at most {_points(limit)} {sure}"
    if guarantee.held:
        return f"On new rows accuracy falls by {at_most}. On the test rows {seen}."
    enough = ceil(-log(1 - guarantee.confidence) / guarantee.max_drop) if guarantee.max_drop else 0
    few = f" For such a limit, at least about {enough:,} test rows are needed." if found.rows < enough else ""
    return (
        f"NOT GUARANTEED: on new rows accuracy falls by {at_most}, and {allowed} were allowed. On the test rows"
        f" {seen}.{few}"
    )


def _points(drop: float) -> str:
    return f"{percent(drop).removesuffix(' %')} percentage points"


def _change(found: "Changed") -> str:
    drop = found.drop
    change = f"a drop of {_points(drop)}" if drop >= 0 else f"a rise of {_points(-drop)}"
    if found.right is None:
        return change
    before, after = (percent(right / found.rows) for right in (found.right, found.right - found.worse + found.better))
    return f"{change} from {before} to {after}"


def _upwards(limit: float) -> float:
    """Round a limit up to what is printed."""
    return ceil(1e4 * limit) / 1e4


def _tried(report: "Compression") -> Table:
    """List the plans in the order in which they were tried."""
    rows = []
    for attempt in report.tried:
        counts = Counter(attempt.widths.values())
        plan = ", ".join(f"{count} x {width}" for width, count in sorted(counts.items(), reverse=True))
        plan += ", fine-tuned" if attempt.fine_tuned else ""
        seen = [attempt.chosen_by, attempt.tested_by]
        numbers = [f"{n:,}" for found in seen if found for n in (found.rows, found.worse, found.better)]
        time = "" if attempt.ratio is None else f"{attempt.ratio:.2f}"
        rows.append((plan, f"{attempt.weights:,}", f"{attempt.bytes:,}", time, *(numbers + [""] * 6)[:6]))
    apart, there = ("rows apart", "worse", "better"), ("test rows", "worse there", "better there")
    head = ("bits", "weights", "bytes", "time", *apart, *there)
    columns = dict(zip(head, zip(*rows, strict=True), strict=True))
    spare = ("rows apart", "test rows", "time", "better", "better there")
    return _filled("Candidates in the order of the search", columns, left=1, spare=spare)


def _layers(report: "Compression") -> Table:
    """List what was done to each layer."""
    columns: dict[str, Sequence[str]] = {
        "": [",".join(map(str, layer.indices)) for layer in report.layers],
        "layer": [layer.name for layer in report.layers],
        "method": [layer.method for layer in report.layers],
        "weights": [f"{layer.parameters_before:,}" for layer in report.layers],
        "numbers": [f"{layer.parameters_after:,}" for layer in report.layers],
        "bits": [f"{layer.bits_after:,}" for layer in report.layers],
        "realised": [number(layer.epsilon_realised) for layer in report.layers],
        "error": [number(own.median if (own := layer.relative_error) else None) for layer in report.layers],
        "eps asked": [number(layer.epsilon_asked) for layer in report.layers],
        "q": [number(layer.effective_parameters) for layer in report.layers],
    }
    return _filled("What was done to each layer", columns, left=3, spare=("method", "numbers", "q"))


def _filled(caption: str, columns: Mapping[str, Sequence[str]], left: int, spare: tuple[str, ...]) -> Table:
    """Make a table without the columns that are empty."""
    kept = {head: cells for head, cells in columns.items() if not set(cells) <= {"", number(None)}}
    return Table(caption, tuple(kept), tuple(zip(*kept.values(), strict=True)), left=left, spare=spare)


def _compressibility(report: "Compression") -> Table:
    assert report.compressibility is not None
    found = report.compressibility
    forms = {
        "|f(x)[y] - g(x)[y]| <= gamma / 2 for every y": (found.per_logit, ""),
        "|f(x) - g(x)|_2 <= gamma / sqrt 2": (found.in_norm, ""),
        "errors of g are at most the rows of f with margin <= gamma": (found.own_errors, "g errs on "),
    }
    rows = [
        (name, "held" if form.held else "not held", f"{said}{counted(form.violations, 'row')}")
        for name, (form, said) in forms.items()
    ]
    return Table("On the training rows", ("condition", "", "violated by"), tuple(rows), left=2)


def _sweep(sweep: "BudgetSweep") -> Table:
    rows = tuple(
        (f"{point.knob} {number(point.value)}", f"{point.parameters:,}", f"{point.bits:,}", percent(point.accuracy))
        for point in sweep.points
    )
    return Table("Accuracy by budget", ("budget", "numbers", "bits", "accuracy"), rows)


def _breaking(sweep: "BudgetSweep") -> str:
    head = f"on {sweep.rows:,} rows, where the original has {percent(sweep.accuracy_before)} accuracy: "
    if sweep.breaks_below is None:
        return f"{head}every budget that was tried lowers accuracy by more than {percent(sweep.tolerated_drop)}"
    at = sweep.breaks_below
    return (
        f"{head}accuracy breaks, by more than {percent(sweep.tolerated_drop)}, below {at.knob} {number(at.value)},"
        f" {at.parameters:,} numbers"
    )


def _bounds(report: "Compression") -> Table:
    rows = []
    for bound in report.bounds:
        plotted = bound.kind == "as_plotted"
        value = magnitude(bound.value, bound.log10) if plotted else error_at_most(bound)
        said = "of the original, for comparison only" if plotted else _MET[bound.met] + bound.met_reason
        if bound.name.startswith("theorem"):
            said += " (of the original)"
        rows.append((bound.name, value, said))
    return Table("Bounds", ("bound", "at most", "precondition"), tuple(rows), left=3)
