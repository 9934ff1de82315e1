"""The figures of one report."""

from collections.abc import Callable
from math import log10

from onnxbound.analysis.result import Report
from onnxbound.bounds.bound import Bound
from onnxbound.report.figures.bars import Bar, bars
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.heat_map import heat_map
from onnxbound.report.figures.ridges import Ridge, ridges
from onnxbound.report.words import at_most, magnitude, number
from onnxbound.stability.catalogue import PLOTTED
from onnxbound.stability.interlayer_cushion import INTERLAYER_CUSHION
from onnxbound.stability.property import Property
from onnxbound.stability.smoothness import SMOOTHNESS_INVERSE


def figures(report: Report) -> tuple[Figure, ...]:
    """Every figure, those without data left out."""
    return (
        *bound_figures(report),
        *(f for f in map(report_histograms(report), PLOTTED) if f),
        *pair_figures(report),
    )


def bound_figures(report: Report) -> tuple[Figure, ...]:
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
            "as many as rows",
        ),
        bars(
            "bounds",
            "Bounds on the error of new rows, every constant in them.",
            "error of new rows, at most",
            explicit,
            log10(chance),
            f"no better than guessing: {chance:.0%}",
        ),
    )


def report_histograms(report: Report) -> Callable[[Property], Figure | None]:
    """Return the function that draws the histograms per layer of a property; None where no layer has it."""

    def draw(prop: Property) -> Figure | None:
        rows = [(layer, statistic) for layer in report.layers if (statistic := layer.statistics[prop.name]) is not None]
        ridge = tuple(Ridge(f"{layer.index} {layer.name}", (statistic.histogram,)) for layer, statistic in rows)
        caption = f"Distribution over the training rows of: {prop.title}."
        return ridges(prop.topic.name, caption, prop.title, ridge, (report.model.path,)) if ridge else None

    return draw


def pair_figures(report: Report) -> tuple[Figure, ...]:
    """The matrices over pairs of layers; none where there is one layer only."""
    maps = []
    for prop, name, quantity in (
        (INTERLAYER_CUSHION, "interlayer_cushion", "smallest interlayer cushion"),
        (SMOOTHNESS_INVERSE, "pair_smoothness_inverse", "largest 1/rho"),
    ):
        known = {(pair.source, pair.target): pair.statistics[prop.name] for pair in report.pairs}
        values = {at: float(getattr(statistic, prop.extreme)) for at, statistic in known.items() if statistic}
        if values:
            caption = f"Of every pair of layers: {quantity} over the training rows."
            maps.append(heat_map(name, caption, quantity, report.model.depth, values))
    return tuple(maps)


def _capacity(bound: Bound, rows: int) -> Bar:
    log = None if bound.log10 is None else bound.log10 - log10(rows)
    value = None if bound.value is None else bound.value / rows
    return Bar(bound.name, log, magnitude(value, log))


def _explicit_words(bound: Bound) -> str:
    if bound.value is None:
        return {True: number(None), False: "not met", None: "open"}[bound.met]
    return at_most(bound.value) + (" (not met)" if bound.met is False else "")
