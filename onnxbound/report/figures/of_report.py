"""The figures of one report."""

from collections.abc import Callable
from math import log10

from onnxbound.bounds.bound import Bound
from onnxbound.report.figures.bars import Bar, bars
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.heat_map import heat_map
from onnxbound.report.figures.ridges import Ridge, ridges
from onnxbound.report.report import LayerReport, PairReport, ReportDocument
from onnxbound.report.words import at_most, magnitude, number
from onnxbound.results import Statistic

PROPERTIES: dict[str, tuple[str, Callable[[LayerReport], Statistic | None]]] = {
    "layer_cushion": ("layer cushion", lambda layer: layer.layer_cushion),
    "minimal_interlayer_cushion": (
        "least interlayer cushion",
        lambda layer: layer.minimal_interlayer_cushion.unclipped,
    ),
    "contraction": ("activation contraction", lambda layer: layer.contraction),
    "smoothness_inverse": ("smoothness 1/rho to the output", lambda layer: layer.smoothness_inverse),
    "beta": ("beta of the Jacobian", lambda layer: layer.beta),
    "noise_sensitivity": ("noise sensitivity", lambda layer: layer.noise_sensitivity),
}
"""Properties that have a histogram per layer: their topic, what the axis is called, and where they stand."""


def figures(report: ReportDocument) -> tuple[Figure, ...]:
    """Every figure, those without data left out."""
    return (
        *bound_figures(report),
        *(f for f in map(report_histograms(report), PROPERTIES) if f),
        *pair_figures(report),
    )


def bound_figures(report: ReportDocument) -> tuple[Figure, ...]:
    """[A] Fig. 4 left, and the bounds with every constant."""
    rows, chance = report.data.rows, 1 - 1 / report.data.classes
    plotted = tuple(_capacity(bound, rows) for bound in report.bounds if bound.kind == "as_plotted")
    explicit = tuple(
        Bar(bound.name, bound.log10, _explicit_words(bound)) for bound in report.bounds if bound.kind != "as_plotted"
    )
    return (
        bars(
            "capacities",
            "Capacities as plotted in [A] Fig. 4: constants dropped, for comparison only.",
            "capacity / training rows",
            plotted,
            0.0,
            "vacuous from 1 on",
        ),
        bars(
            "bounds",
            "Bounds on the error of new rows, every constant in them.",
            "error of new rows, at most",
            explicit,
            log10(chance),
            f"vacuous from chance, {chance:.0%}, on",
        ),
    )


def report_histograms(report: ReportDocument) -> Callable[[str], Figure | None]:
    """Histograms per layer of a property."""

    def draw(topic: str) -> Figure | None:
        quantity, pick = PROPERTIES[topic]
        rows = [(layer, found) for layer in report.layers if (found := pick(layer)) is not None]
        ridge = tuple(Ridge(f"{layer.index} {layer.name}", (found.histogram,)) for layer, found in rows)
        caption = f"Distribution over the training rows of: {quantity}."
        return ridges(topic, caption, quantity, ridge, (report.model.path,)) if ridge else None

    return draw


def pair_figures(report: ReportDocument) -> tuple[Figure, ...]:
    """The matrices over pairs of layers; none where there is one layer only."""
    kinds: tuple[tuple[str, str, Callable[[PairReport], float | None]], ...] = (
        ("interlayer_cushion", "smallest interlayer cushion", lambda pair: _or_none(pair.interlayer_cushion, "min")),
        ("pair_smoothness_inverse", "largest 1/rho", lambda pair: _or_none(pair.smoothness_inverse, "max")),
    )
    found = []
    for name, quantity, pick in kinds:
        values = {(pair.source, pair.target): value for pair in report.pairs if (value := pick(pair)) is not None}
        if values:
            caption = f"Of every pair of layers: {quantity} over the training rows."
            found.append(heat_map(name, caption, quantity, report.model.depth, values))
    return tuple(found)


def _or_none(statistic: Statistic | None, field: str) -> float | None:
    return None if statistic is None else float(getattr(statistic, field))


def _capacity(bound: Bound, rows: int) -> Bar:
    log = None if bound.log10 is None else bound.log10 - log10(rows)
    value = None if bound.value is None else bound.value / rows
    return Bar(bound.name, log, magnitude(value, log))


def _explicit_words(bound: Bound) -> str:
    if bound.value is None:
        return {True: number(None), False: "not met", None: "open"}[bound.met]
    return at_most(bound.value) + (" (not met)" if bound.met is False else "")
