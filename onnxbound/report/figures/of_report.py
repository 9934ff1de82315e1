"""The figures of one report."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from onnxbound.analysis.result import Report
from onnxbound.bounds.bound import Bound
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.shapes import Bar, bars, heat_map, ridges
from onnxbound.report.words import error_at_most, magnitude, marked
from onnxbound.stability.catalogue import PLOTTED
from onnxbound.stability.interlayer_cushion import INTERLAYER_CUSHION
from onnxbound.stability.smoothness import SMOOTHNESS_INVERSE
from onnxbound.words import number, percent

_MOST_LAYERS = 1000
"""Layers up to which a matrix over pairs of layers has room in a picture."""


def figures(report: Report) -> tuple[Figure, ...]:
    """Draw every figure that has data."""
    of = Path(report.model.path).name or "model"
    return (*_bounds(report, of), *_histograms(report, of), *_pairs(report, of))


def _bounds(report: Report, of: str) -> Iterator[Figure]:
    """Draw the bounds with every constant, and [A] Fig. 4 left."""
    chance, columns = 1 - 1 / report.data.classes, ("bound", "length", "value")
    explicit = [bound for bound in report.bounds if bound.kind != "as_plotted"]
    rows = tuple((b.name, None if b.value is None else 100 * min(b.value, 1.0), _words(b)) for b in explicit)
    guess = f"guessing: {percent(chance)}"
    drawn = partial(bars, quantity="error of new rows, at most, %", rows=rows, most=100, limit=guess, at=100 * chance)
    shown = "Bounds on the error of new rows"
    data = (*rows, (guess, 100 * chance, ""))
    yield Figure("bounds", shown, of, drawn, columns, data, 1.1 + 0.3 * len(rows))
    plotted = tuple(_capacity(bound) for bound in report.bounds if bound.kind == "as_plotted")
    drawn = partial(bars, quantity="log10 of the capacity", rows=plotted)
    shown = "Capacities, to compare nets of one task, which bound nothing"
    yield Figure("capacities", shown, of, drawn, columns, plotted, 1.1 + 0.3 * len(plotted))


def _histograms(report: Report, of: str) -> Iterator[Figure]:
    """Draw a histogram per layer of every property that layers have."""
    for prop in PLOTTED:
        known = [(own, s) for own in report.layers if (s := own.statistics[prop.name])]
        rows = [(f"{own.index} {own.name}", (s.histogram,)) for own, s in known]
        drawn = partial(ridges, quantity=prop.title, rows=rows, series=(of,))
        data = tuple(
            (name, low, high, count)
            for name, (histogram,) in rows
            for low, high, count in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False)
        )
        if any(s.min < s.max for _, s in known):
            shown = f"{prop.title[:1].upper()}{prop.title[1:]} over the rows, by layer"
            yield Figure(prop.topic.name, shown, of, drawn, ("layer", "from", "to", "rows"), data, 1 + 0.4 * len(rows))


def _pairs(report: Report, of: str) -> Iterator[Figure]:
    """Draw the matrices over pairs of layers, if there are two layers or more."""
    for prop, name, quantity in (
        (INTERLAYER_CUSHION, "interlayer_cushion", "smallest interlayer cushion (large is stable)"),
        (SMOOTHNESS_INVERSE, "pair_smoothness_inverse", "largest 1/rho (small is stable)"),
    ):
        known = {(pair.source, pair.target): pair.statistics[prop.name] for pair in report.pairs}
        values = {at: float(getattr(own, prop.extreme)) for at, own in sorted(known.items()) if own}
        if report.model.depth > _MOST_LAYERS:
            continue
        words = {at: marked(number(value), own.kind) for at, value in values.items() if (own := known[at])}
        drawn = partial(heat_map, quantity=quantity, size=report.model.depth, values=values, words=words)
        data = tuple((*at, value) for at, value in values.items())
        if len(values) > 1:
            shown = f"From every layer to every later one: {quantity} over the rows"
            yield Figure(name, shown, of, drawn, ("source", "target", "value"), data, 4.2)


def _capacity(bound: Bound) -> Bar:
    return bound.name, bound.log10, marked(magnitude(bound.value, bound.log10), bound.basis)


def _words(bound: Bound) -> str:
    if bound.value is None:
        return {True: "undefined", False: "not met", None: "open"}[bound.met]
    return error_at_most(bound) + (", not met" if bound.met is False else "")
