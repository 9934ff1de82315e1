"""The figures of the paper's experiments."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from onnxbound.experiments.attenuation import Attenuation
from onnxbound.experiments.comparison import Comparison
from onnxbound.experiments.ranking import Ranking, Standing
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.shapes import Curve, intervals, lines, ridges
from onnxbound.report.words import shortened
from onnxbound.stability.catalogue import PLOTTED
from onnxbound.words import percent

_TITLES = {prop.topic.name: prop.title for prop in PLOTTED}
_FEW = 4
"""Up to so many nets their names stand below the axis, else their numbers."""


def noise_figure(attenuation: Attenuation) -> Figure:
    """Draw [A] Fig. 1: a curve per layer where noise enters."""
    curves = [
        (
            f"into layer {curve.source}",
            [(float(a.target), own.median if (own := a.relative_error) else None) for a in curve.arrivals],
        )
        for curve in attenuation.curves
    ]
    shown = f"What noise of {percent(attenuation.radius)} at a layer's input becomes, median over the rows"
    drawn = partial(lines, places="layer", quantity="relative error", curves=curves)
    data = tuple((curve, layer, value) for curve, points in curves for layer, value in points)
    return Figure("noise", shown, Path(attenuation.model).name, drawn, ("curve", "layer", "value"), data)


def comparison_figures(comparison: Comparison) -> Iterator[Figure]:
    """Draw [A] Fig. 2, 3 and A.1 to A.7: a figure per property, a row per layer, a colour per net."""
    names = tuple(net.name for net in comparison.nets)
    for name in dict.fromkeys(layer.property for layer in comparison.properties):
        own = [layer for layer in comparison.properties if layer.property == name]
        rows = [(f"layer {row.layer}" if row.layer else "all layers", row.histograms) for row in own]
        quantity = _TITLES.get(name, name)
        data = tuple(
            (label, net, low, high, count)
            for label, histograms in rows
            for net, h in zip(names, histograms, strict=True)
            if h is not None
            for low, high, count in zip(h.edges, h.edges[1:], h.counts, strict=False)
        )
        shown = f"{quantity[:1].upper()}{quantity[1:]} over {comparison.measured_rows:,} rows, by layer"
        drawn = partial(ridges, quantity=quantity, rows=rows, series=names)
        columns, height = ("layer", "net", "from", "to", "rows"), 1 + 0.4 * len(rows) + 0.2 * len(names)
        yield Figure(f"compare_{name}", shown, _of(names), drawn, columns, data, height)


def ranking_figures(ranking: Ranking) -> Iterator[Figure]:
    """Draw the rank correlation of every capacity with the gaps, and the gaps in their order."""
    rows = tuple((c.capacity, c.correlation.tau, c.correlation.low, c.correlation.high) for c in ranking.capacities)
    ordered = sorted(ranking.standings, key=lambda standing: standing.gap)
    shown, of = "Rank correlation of each capacity with the gap, 95 % intervals", _of([s.net.name for s in ordered])
    drawn = partial(intervals, quantity="Kendall's tau-b", rows=rows)
    yield Figure("rank", shown, of, drawn, ("capacity", "tau-b", "from", "to"), rows, 1 + 0.3 * len(rows))
    yield _gaps("rank_gaps", ranking, ordered, "net, by gap")


def track_figures(track: Ranking) -> Iterator[Figure]:
    """Draw, along the checkpoints: [A] Fig. 4 right, every capacity, and the median of every property of the layers."""
    yield _gaps("track", track, track.standings, "checkpoint")
    capacities = [(c.capacity, _along(track.standings, _log10_of(c.capacity))) for c in track.capacities]
    yield _by_net(
        "track_capacities", "Every capacity", track.standings, "checkpoint", "log10 of the capacity", capacities
    )
    for prop in PLOTTED:
        name = prop.topic.name
        depth = max(len(standing.medians[name]) for standing in track.standings)
        curves = [(f"layer {k + 1}", _along(track.standings, _median_of(name, k))) for k in range(depth)]
        yield _by_net(
            f"track_{name}", f"Median over the rows: {prop.title}", track.standings, "checkpoint", prop.title, curves
        )


def _gaps(name: str, ranking: Ranking, ordered: Sequence[Standing], places: str) -> Figure:
    (arora,) = (entry for entry in ranking.capacities if entry.capacity == "arora")
    rescaled = dict(zip((s.net.name for s in ranking.standings), arora.rescaled, strict=True))
    curves = [
        ("measured gap", _along(ordered, lambda standing: standing.gap)),
        ("arora, rescaled", _along(ordered, lambda standing: rescaled[standing.net.name])),
    ]
    return _by_net(name, "Gap of the errors, and sqrt(arora / m) times one factor", ordered, places, "gap", curves)


def _log10_of(capacity: str) -> Callable[[Standing], float | None]:
    return lambda standing: standing.net.log10_capacities[capacity]


def _median_of(name: str, layer: int) -> Callable[[Standing], float | None]:
    return lambda standing: standing.medians[name][layer] if layer < len(standing.medians[name]) else None


def _along(
    standings: Sequence[Standing], value: Callable[[Standing], float | None]
) -> list[tuple[float, float | None]]:
    return [(float(place), value(standing)) for place, standing in enumerate(standings, start=1)]


def _by_net(
    name: str, shown: str, standings: Sequence[Standing], places: str, quantity: str, curves: Sequence[Curve]
) -> Figure:
    nets = [standing.net.name for standing in standings]
    below = [shortened(net, 12) if len(nets) <= _FEW else str(place) for place, net in enumerate(nets, start=1)]
    drawn = partial(lines, places=places, quantity=quantity, curves=curves, names=below)
    data = tuple((curve, nets[int(at) - 1], value) for curve, points in curves for at, value in points)
    return Figure(name, shown, _of(nets), drawn, ("curve", "net", "value"), data)


def _of(names: Sequence[str]) -> str:
    """Name several nets in a title.

    >>> _of(["a", "b", "c", "d"])
    'a, b and 2 more'
    """
    return ", ".join(names) if len(names) < _FEW else f"{names[0]}, {names[1]} and {len(names) - 2} more"
