"""A report as one HTML page that needs no network, no script and no other file."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element

from onnxbound.analysis.result import Report
from onnxbound.analysis.sections import LayerReport, WorstRow
from onnxbound.bounds.bound import Bound
from onnxbound.errors import visible
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.of_report import bound_figures, pair_figures, report_histograms
from onnxbound.report.html.tree import Child, linked, table, tag, to_html
from onnxbound.report.sentences import sentences
from onnxbound.report.topics import TOPICS
from onnxbound.report.words import error_at_most, magnitude, marked, number, percentage, rows_of_columns, shortened
from onnxbound.results import Statistic
from onnxbound.stability.catalogue import OF_LAYERS, OF_PAIRS, PLOTTED
from onnxbound.stability.property import Property

_STYLE = Path(__file__).with_name("style.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A browser that reads this loads and runs nothing, whatever a name from a file may say."""

_TABLED = tuple(prop for prop in OF_LAYERS if prop.heading)
_NAME = 20
"""Characters of a layer's name that a table shows."""


def page(report: Report) -> str:
    """The whole page."""
    name = Path(report.model.path).name or "model"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{name}: onnxbound report"),
    )
    style = Element("style")
    style.text = _STYLE.read_text(encoding="utf-8")
    head.append(style)
    main = tag(
        "main",
        _warnings(report),
        _section("In plain words", tag("ul", *(tag("li", sentence) for sentence in sentences(report)))),
        _facts(report),
        _bounds(report),
        _capacities(report),
        _layers(report),
        _histograms(report),
        _pairs(report),
        _norms(report),
        _classes(report),
        _worst(report),
        _method(report),
        _definitions(),
    )
    header = tag("header", tag("h1", name), tag("p", f"What onnxbound measured of {report.model.path}", class_="quiet"))
    footer = tag(
        "footer", tag("p", f"onnxbound {report.tool.version}. Every underlined number leads to its definition.")
    )
    return to_html(tag("html", head, tag("body", header, main, footer), lang="en"))


def _section(title: str, *children: Child) -> Element:
    return tag("section", tag("h2", title), *children)


def _figure(figure: Figure) -> Element:
    return tag("figure", figure.drawing, tag("figcaption", figure.caption))


def _figures(figures: Iterable[Figure | None]) -> Element:
    return tag("div", *(_figure(figure) for figure in figures if figure is not None), class_="figures")


def _warnings(report: Report) -> Element | None:
    if not report.warnings:
        return None
    listed = tag("ul", *(tag("li", warning) for warning in report.warnings))
    return tag("section", tag("h2", "Before you read the numbers"), listed, class_="warnings")


def _facts(report: Report) -> Element:
    model, data, margin = report.model, report.data, report.margin

    def n(value: str, topic: str) -> Element:
        return linked(value, topic)

    depth = (f"{model.topology} of ", n(str(model.depth), "depth"), " weighted layers, ")
    facts: list[tuple[str, tuple[Child, ...]]] = [
        ("model", (model.path,)),
        ("", (*depth, n(f"{model.parameters:,}", "parameters"), f" trained numbers, opset {model.opset}")),
        ("training set", (data.path,)),
        ("", (n(f"{data.rows:,}", "rows"), " rows, Jacobians on ", n(f"{data.measured_rows:,}", "measured_rows"))),
        ("classes", (n(str(data.classes), "classes"),)),
        ("training error", (n(f"{data.train_error:.2%}", "train_error"),)),
        ("margin gamma", (n(number(margin.gamma), "gamma"), f" ({margin.gamma_source.replace('_', ' ')})")),
        ("median margin", (n(number(margin.median), "margin"),)),
        ("largest |f(x)|", (n(number(margin.max_logit_norm), "max_logit_norm"),)),
    ]
    if data.test_error is not None:
        facts.insert(6, ("test error", (n(f"{data.test_error:.2%}", "test_error"),)))
    entries = [part for name, words in facts for part in (tag("dt", name), tag("dd", *words))]
    return _section("What was measured, on what", tag("dl", *entries, class_="facts"))


def _bounds(report: Report) -> Element:
    words = {True: "met", False: "not met", None: "open"}

    def row(bound: Bound) -> tuple[Child, ...]:
        value = linked(error_at_most(bound), bound.name)
        return linked(bound.name, bound.name), value, f"{words[bound.met]}: {bound.met_reason}", bound.reference

    rows = [row(bound) for bound in report.bounds if bound.kind != "as_plotted"]
    head = ("bound", "error at most", "precondition", "source")
    _, figure = bound_figures(report)
    return _section(
        "Bounds on the error of new rows",
        tag(
            "p",
            "They hold with the stated probability if their precondition is met. Vacuous is: no better than guessing.",
        ),
        _figures([figure]),
        table("Bounds with every constant", head, rows, "wrw"),
    )


def _capacities(report: Report) -> Element:
    rows: list[tuple[Child, ...]] = []
    for bound in report.bounds:
        if bound.kind == "as_plotted":
            per_row = None if bound.value is None else bound.value / report.data.rows
            numbers = (magnitude(bound.value, bound.log10), number(per_row))
            cells = (linked(marked(words, bound.basis), bound.name) for words in numbers)
            rows.append((linked(bound.name, bound.name), bound.reference, *cells))
    figure, _ = bound_figures(report)
    return _section(
        "Capacities as plotted",
        tag("p", "Constants, logarithms and depth are dropped: they compare nets of one task and bound nothing."),
        _figures([figure]),
        table("Capacities", ("capacity", "source", "value", "value / rows"), rows, "wwr"),
    )


def _cell(statistic: Statistic | None, prop: Property, field: str) -> Element:
    words = number(None) if statistic is None else marked(number(getattr(statistic, field)), statistic.kind)
    return linked(words, prop.topic.name)


def _layers(report: Report) -> Element:
    def row(layer: LayerReport) -> tuple[Child, ...]:
        return (
            f"{layer.index} {shortened(visible(layer.name), _NAME)}",
            linked(f"{layer.parameters:,}", "weights"),
            *(_cell(layer.statistics[p.name], p, p.extreme) for p in _TABLED),
            linked(marked(number(layer.effective_parameters), layer.basis), "effective_parameters"),
            linked(marked(percentage(layer.compression_percent), layer.basis), "compression_percent"),
        )

    headings = [(prop, prop.topic.name.replace("_", " ")) for prop in _TABLED]
    head = ("layer", "weights", *(heading for _, heading in headings), "q", "q / weights")
    return _section(
        "Layers",
        tag("p", f"{rows_of_columns(report, headings).capitalize()}. \N{ALMOST EQUAL TO} marks estimates."),
        table("Properties per layer, [A] Table 1 in the last columns", head, list(map(row, report.layers)), "wr"),
    )


def _histograms(report: Report) -> Element:
    return _section(
        "Distributions over the rows, layer by layer",
        tag("p", "Each row of a plot has its own height."),
        tag("p", "Rest the pointer on a bar to see its range and its rows.", class_="screen"),
        _figures(map(report_histograms(report), PLOTTED)),
    )


def _pairs(report: Report) -> Element | None:
    figures = pair_figures(report)
    if not figures:
        return None
    rows: list[tuple[Child, ...]] = [
        (
            f"{pair.source} to {pair.target}",
            pair.method,
            *(_cell(pair.statistics[p.name], p, p.extreme) for p in OF_PAIRS),
            linked({True: "yes", False: "no", None: number(None)}[pair.smoothness_holds], "smoothness_holds"),
        )
        for pair in report.pairs
    ]
    head = ("pair", "|J|", *(f"{p.topic.name.replace('_', ' ')}, {p.extreme}" for p in OF_PAIRS), "smooth")
    several = f"All {len(rows)} pairs" if len(rows) > 1 else "The pair"
    listed = tag("details", tag("summary", f"{several} as numbers"), table("Pairs of layers", head, rows, "wwr"))
    return _section("Pairs of layers", _figures(figures), listed)


def _norms(report: Report) -> Element:
    rows: list[tuple[Child, ...]] = [
        (
            f"{layer.index} {shortened(visible(layer.name), _NAME)}",
            linked(number(layer.frobenius_norm), "frobenius_norm"),
            linked(number(layer.spectral_norm.kernel_matrix), "spectral_norm"),
            linked(number(layer.spectral_norm.estimate), "spectral_norm"),
            linked(number(layer.spectral_norm.upper.value), "spectral_norm"),
            linked(number(layer.stable_rank), "stable_rank"),
        )
        for layer in report.layers
    ]
    head = ("layer", "Frobenius", "spectral, of the kernel", "at least", "at most", "stable rank")
    return _section("Norms of the weights", table("Norms per layer", head, rows, "wr"))


def _classes(report: Report) -> Element | None:
    if not report.per_class:
        return None
    rows: list[tuple[Child, ...]] = [
        (
            str(own.label),
            linked(f"{own.rows:,}", "rows"),
            linked(f"{own.train_error:.2%}", "train_error"),
            linked(number(own.margin_min), "margin"),
            linked(number(own.margin_median), "margin"),
            linked(number(min((v for v in own.layer_cushion_min if v is not None), default=None)), "layer_cushion"),
        )
        for own in report.per_class
    ]
    head = ("class", "rows", "training error", "margin, least", "median", "layer cushion, least")
    return _section("Classes", table("Training rows by class", head, rows, "wr"))


def _worst(report: Report) -> Element | None:
    head = ("row", "class", "margin", "layer cushion, least", "at layer")
    tables = [
        table(f"Rows of smallest {name}, by their place in the data file", head, list(map(_worst_row, rows)), "wr")
        for name, rows in (("margin", report.worst.smallest_margin), ("layer cushion", report.worst.smallest_cushion))
        if rows
    ]
    return _section("Worst rows", *tables) if tables else None


def _worst_row(row: WorstRow) -> tuple[Child, ...]:
    cushion = linked(number(row.layer_cushion), "layer_cushion")
    return str(row.index), str(row.label), linked(number(row.margin), "margin"), cushion, str(row.layer)


def _method(report: Report) -> Element:
    tool, coverage = report.tool, report.coverage
    simple = {key: value for key, value in report.settings.items() if not isinstance(value, dict)}
    facts = {
        "settings": _listed(simple),
        "preprocessing": _listed(dict(report.settings.get("preprocessing") or {})),
        "engine": " ".join(filter(None, (tool.engine, f"on {tool.device},", tool.engine_note))),
        "file": "; ".join((f"{coverage.nodes} nodes, every one understood", *coverage.normalised)),
        "versions": ", ".join(f"{name} {version}" for name, version in tool.versions.items()),
        "model SHA-256": report.model.sha256,
        "data SHA-256": report.data.sha256,
    }
    entries: list[Element] = []
    for name, words in facts.items():
        entries += [tag("dt", name), tag("dd", words)]
    entries += [tag("dt", "rows with ties"), tag("dd", linked(f"{coverage.rows_with_ties:,}", "rows_with_ties"))]
    entries += [tag("dt", "seconds"), tag("dd", linked(f"{tool.seconds:.1f}", "seconds"))]
    return _section("How it was measured", tag("dl", *entries, class_="facts"))


def _listed(values: dict[str, object]) -> str:
    return ", ".join(f"{name} {number(None) if value is None else value}" for name, value in values.items())


def _definitions() -> Element:
    entries: list[Element] = []
    for topic in TOPICS.values():
        if topic.kind == "error":
            continue
        entries.append(tag("dt", topic.name.replace("_", " "), id_=f"def-{topic.name}"))
        parts = (("", topic.text), ("Formula: ", topic.formula), ("Source: ", topic.source), ("Unit: ", topic.unit))
        entries += [tag("dd", f"{label}{words}") for label, words in parts if words and words != "-"]
        if topic.assumptions:
            entries.append(tag("dd", f"Assumptions: {topic.assumptions}"))
    return _section("Definitions", tag("dl", *entries, class_="definitions"))
