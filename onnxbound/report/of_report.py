"""The view of a report."""

from collections.abc import Iterator
from pathlib import Path

from onnxbound.analysis.result import Report
from onnxbound.analysis.sections import LayerReport, WorstRow
from onnxbound.bounds.bound import Bound
from onnxbound.errors import as_option
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.of_report import figures
from onnxbound.report.terminal import bar, sparkline
from onnxbound.report.verdict import next_steps, verdict
from onnxbound.report.view import Facts, Section, Table, View
from onnxbound.report.words import error_at_most, magnitude, marked, rows_of_columns
from onnxbound.results import Statistic
from onnxbound.stability.catalogue import OF_LAYERS, OF_PAIRS, PLOTTED
from onnxbound.words import counted, number, percent

_BAR = 12
"""Characters of the longest bar."""

_TABLED = tuple(prop for prop in OF_LAYERS if prop.heading)
_MET = {True: "met", False: "not met", None: "open"}
_YES = {True: "yes", False: "no", None: number(None)}


def view(report: Report) -> View:
    """Show verdict, bounds, layers and capacities; everything else goes into long tables."""
    drawn = {figure.name: figure for figure in figures(report)}
    model, data = report.model, report.data
    margin, tool = report.margin, report.tool
    quantile = f"the {percent(report.settings.get('gamma_quantile'))} quantile"
    sources = {"quantile": quantile, "quantile_of_correct": f"{quantile} over the rows without an error"}
    gamma = f"gamma {number(margin.gamma)} ({sources.get(margin.gamma_source, margin.gamma_source)})"
    layers, rows = counted(model.depth, "layer"), counted(data.rows, "row")
    if data.is_sample:
        rows = f"a sample of {data.rows:,} of {data.rows_in_file:,} rows"
    about = (
        ("model", f"{model.path}: {model.topology} of {layers}, {model.parameters:,} parameters"),
        ("data", f"{data.path}: {rows} of {data.classes} classes, {data.measured_rows:,} measured"),
        *([("test", f"{data.test_path}: {counted(data.test_rows, 'row')}")] if data.test_rows else []),
        ("margin", f"{gamma}, median {number(margin.median)}; largest |f(x)| {number(margin.max_logit_norm)}"),
        ("run", f"{tool.device}, {tool.seconds:.1f} s, form {report.settings['form']}"),
    )
    return View(
        title=f"Report on {Path(model.path).name or 'a model'}",
        about=Facts(about),
        verdict=tuple(verdict(report)),
        next_steps=tuple(next_steps(report)),
        sections=tuple(_sections(report, drawn)),
        caveats=tuple(warning for warning in report.warnings if warning not in report.doubts),
        version=report.tool.version,
    )


def _sections(report: Report, drawn: dict[str, Figure]) -> Iterator[Section]:
    explicit = [bound for bound in report.bounds if bound.kind != "as_plotted"]
    rows = tuple((b.name, error_at_most(b), f"{_MET[b.met]}: {b.met_reason}") for b in explicit)
    table = Table("Bounds with every constant", ("bound", "error at most", "precondition"), rows, left=3)
    chance = percent(1 - 1 / report.data.classes)
    holds = (
        f"A bound holds if its precondition is met. The theorems bound the error of a compressed copy of the net."
        f" Guessing errs on {chance}; a vacuous bound is no better. [A] is the paper by Arora, Ge, Neyshabur and Zhang"
        " (2018)."
    )
    yield Section("Bounds on the error of new rows", (holds, table, *_known(drawn, "bounds")))
    yield Section("Layers", (_layers(report), _about_layers(report)))
    histograms = _known(drawn, *(prop.topic.name for prop in PLOTTED))
    yield Section("Distributions over the rows, layer by layer", (_distributions(report), *histograms), long=True)
    maps = _known(drawn, "interlayer_cushion", "pair_smoothness_inverse")
    if report.pairs:
        yield Section("Pairs of layers", (*maps, _pairs(report)), long=True)
    yield Section("Norms of the weights", (_norms(report),), long=True)
    if report.per_class:
        yield Section("Training rows by class", (_classes(report),), long=True)
    for name, worst in (("margin", report.worst.smallest_margin), ("layer cushion", report.worst.smallest_cushion)):
        if worst:
            yield Section(f"Training rows of smallest {name}, counted from 0 in the file", (_worst(worst),))
    said = "A capacity leaves out constants, logarithms and depth. It compares nets of one task, and bounds nothing."
    yield Section("Capacities, for comparison only", (said, _capacities(report), *_known(drawn, "capacities")))
    yield Section("How it was measured", (_method(report),), long=True)


def _known(drawn: dict[str, Figure], *names: str) -> tuple[Figure, ...]:
    return tuple(drawn[name] for name in names if name in drawn)


def _of(statistic: Statistic | None, field: str) -> str:
    return number(None) if statistic is None else marked(number(getattr(statistic, field)), statistic.kind)


def _layer(layer: LayerReport) -> tuple[str, str]:
    return str(layer.index), layer.name


def _layers(report: Report) -> Table:
    head = ("", "layer", "weights", *(prop.heading for prop in _TABLED), "q", "q/weights")
    rows = tuple(
        (
            *_layer(layer),
            f"{layer.parameters:,}",
            *(_of(layer.statistics[prop.name], prop.extreme) for prop in _TABLED),
            marked(number(layer.effective_parameters), layer.basis),
            marked(percent(None if (q := layer.compression_percent) is None else q / 100), layer.basis),
        )
        for layer in report.layers
    )
    return Table("Properties per layer; q and q/weights as in [A] Table 1", head, rows, left=2, spare=("q", "contr."))


def _about_layers(report: Report) -> str:
    said = f"{rows_of_columns(report, ((prop, prop.heading) for prop in _TABLED)).capitalize()}."
    said += " Here interl. is cut at 1 / sqrt(h) as in [A], where h is the number of units, or channels, of the layer."
    known = [pair for pair in report.pairs if pair.smoothness_holds is not None]
    if known:
        real = report.settings.get("noise") == "compression"
        under = "the noise of compression" if real else "gaussian noise; no bound uses this"
        holds, limit = sum(bool(pair.smoothness_holds) for pair in known), 3 * report.model.depth
        said += f" Smoothness 1/rho <= 1/{limit} holds on {holds} of {len(known)} pairs under {under}."
    estimated = any(own is not None and own.kind == "estimated" for x in report.layers for own in x.statistics.values())
    return f"{said} \N{ALMOST EQUAL TO} marks estimates." if estimated else said


def _distributions(report: Report) -> Table:
    rows = tuple(
        (
            prop.topic.name,
            *_layer(layer),
            sparkline(own.histogram.counts),
            *(marked(number(end), own.kind) for end in (own.min, own.max)),
        )
        for prop in PLOTTED
        for layer in report.layers
        if (own := layer.statistics[prop.name]) is not None
    )
    head = ("property", "", "layer", "distribution", "smallest", "largest")
    return Table("The range of every property", head, rows, left=4, drawn=3)


def _pairs(report: Report) -> Table:
    head = ("pair", "|J|_F", *(f"{p.topic.name.replace('_', ' ')}, {p.extreme}" for p in OF_PAIRS), "smooth")
    rows = tuple(
        (
            f"{pair.source} to {pair.target}",
            pair.method,
            *(_of(pair.statistics[prop.name], prop.extreme) for prop in OF_PAIRS),
            _YES[pair.smoothness_holds],
        )
        for pair in report.pairs
    )
    return Table("From every layer to every later one", head, rows, left=2, spare=("|J|_F", "jacobian norm, median"))


def _norms(report: Report) -> Table:
    head = ("", "layer", "|A|_F", "|A|_2 kernel", "estimate", "upper", "stable rank", "noise sens.", "1/rho out")
    rows = tuple(
        (
            *_layer(layer),
            *map(number, (layer.frobenius_norm, spectral.kernel_matrix, spectral.estimate, spectral.upper.value)),
            number(layer.stable_rank),
            _of(layer.noise_sensitivity, "median"),
            _of(layer.smoothness_inverse, "max"),
        )
        for layer in report.layers
        for spectral in [layer.spectral_norm]
    )
    return Table("Norms per layer", head, rows, left=2, spare=("|A|_2 kernel", "stable rank", "noise sens."))


def _classes(report: Report) -> Table:
    rows = []
    for own in report.per_class:
        known = [(value, layer) for layer, value in enumerate(own.layer_cushion_min, start=1) if value is not None]
        cushion, layer = min(known, default=(None, None))
        margins = (number(own.margin_min), number(own.margin_median))
        rows.append(
            (str(own.label), f"{own.rows:,}", percent(own.train_error), *margins, number(cushion), number(layer))
        )
    head = ("class", "rows", "error", "margin, min", "margin, median", "cushion, min", "at layer")
    return Table("Training rows by class", head, tuple(rows))


def _worst(worst: tuple[WorstRow, ...]) -> Table:
    head = ("row", "label", "answer", "margin", "cushion, min", "at layer")
    rows = tuple(
        (str(r.index), str(r.label), number(r.predicted), number(r.margin), number(r.layer_cushion), str(r.layer))
        for r in worst
    )
    return Table("Rows by their place in the data file, from 0", head, rows)


def _capacities(report: Report) -> Table:
    plotted = [bound for bound in report.bounds if bound.kind == "as_plotted"]
    highest = max((bound.log10 for bound in plotted if bound.log10 is not None), default=0.0)

    def row(bound: Bound) -> tuple[str, ...]:
        drawn = "" if bound.log10 is None else bar(bound.log10 / max(highest, 1.0), _BAR)
        return bound.name, bound.reference, drawn, marked(magnitude(bound.value, bound.log10), bound.basis)

    return Table("Capacities", ("capacity", "source", "log scale", "value"), tuple(map(row, plotted)), left=3, drawn=2)


def _method(report: Report) -> Facts:
    tool, coverage = report.tool, report.coverage
    settings = {name: value for name, value in report.settings.items() if not isinstance(value, dict)}
    settings["memory"] = f"{settings['memory'] / 2**30:.3g} GiB" if settings.get("memory") else None
    return Facts(
        (
            ("settings", _listed(settings)),
            ("preprocessing", _listed(dict(report.settings.get("preprocessing") or {}))),
            ("engine", " ".join(filter(None, (tool.engine, f"on {tool.device},", tool.engine_note)))),
            ("seconds", f"{tool.seconds:.1f}"),
            (
                "file",
                "; ".join((f"opset {report.model.opset}, {coverage.nodes} nodes understood", *coverage.normalised)),
            ),
            ("rows with ties", f"{coverage.rows_with_ties:,} of {report.data.measured_rows:,} measured; {_TIES}"),
            ("versions", ", ".join(f"{name} {version}" for name, version in tool.versions.items())),
            ("model SHA-256", report.model.sha256),
            ("data SHA-256", report.data.sha256),
        )
    )


_TIES = "there a gate's input is 0, which counts as closed, or a pool has two maxima, and the first one counts"


def _listed(values: dict[str, object]) -> str:
    return ", ".join(f"{name} {as_option(value)}" for name, value in values.items() if value is not None)
