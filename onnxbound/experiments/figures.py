"""The figures of the paper's experiments."""

from onnxbound.experiments.attenuation import Attenuation
from onnxbound.experiments.comparison import Comparison
from onnxbound.experiments.ranking import Ranking, Standing, Track
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.intervals import Interval, intervals
from onnxbound.report.figures.lines import Curve, lines, steps
from onnxbound.report.figures.ridges import Ridge, ridges
from onnxbound.report.words import number, shortened
from onnxbound.stability.catalogue import PLOTTED

_TITLES = {prop.topic.name: prop.title for prop in PLOTTED}


def noise_figures(attenuation: Attenuation) -> tuple[Figure, ...]:
    """[A] Fig. 1: a curve per layer where noise enters."""
    curves = tuple(
        Curve(
            f"into layer {curve.source}",
            tuple(
                (float(a.target), None if a.relative_error is None else a.relative_error.median) for a in curve.arrivals
            ),
        )
        for curve in attenuation.curves
    )
    axis = steps("layer", tuple(str(layer) for layer in range(1, len(attenuation.layer_names) + 1)))
    caption = (
        f"Noise of relative length {number(attenuation.radius)} at the input of a layer: relative error at its output"
        " and at later layers, median over the rows."
    )
    return (lines("noise", caption, axis, "relative error", curves),)


def comparison_figures(comparison: Comparison) -> tuple[Figure, ...]:
    """[A] Fig. 2, 3 and A.1 to A.7: a figure per property, a row per layer, a colour per net."""
    names = tuple(net.name for net in comparison.nets)
    figures = []
    for name in dict.fromkeys(layer.property for layer in comparison.properties):
        rows = [layer for layer in comparison.properties if layer.property == name]
        ridge = tuple(Ridge(f"layer {row.layer}" if row.layer else "net", row.histograms) for row in rows)
        quantity = _TITLES.get(name, name)
        caption = f"Distribution over {comparison.measured_rows:,} rows of: {quantity}."
        figures.append(ridges(f"compare_{name}", caption, quantity, ridge, names))
    return tuple(figures)


def ranking_figures(ranking: Ranking) -> tuple[Figure, ...]:
    """[A] Fig. 4 right for checkpoints; rank correlations of every capacity for different nets."""
    return _track_figures(ranking) if isinstance(ranking, Track) else (_correlations(ranking), *_scatter(ranking))


def _correlations(ranking: Ranking) -> Figure:
    rows = tuple(
        Interval(entry.capacity, entry.correlation.tau, entry.correlation.low, entry.correlation.high)
        for entry in ranking.capacities
    )
    caption = f"Rank correlation of each capacity with the gaps of {len(ranking.standings)} nets, 95 % intervals."
    return intervals("rank", caption, "Kendall's tau-b", rows, -1.0, 1.0)


def _scatter(ranking: Ranking) -> tuple[Figure, ...]:
    ordered = sorted(ranking.standings, key=lambda standing: standing.gap)
    axis = steps("net, by gap", tuple(str(place) for place in range(1, len(ordered) + 1)))
    curves = (
        Curve("gap", tuple((float(k), s.gap) for k, s in enumerate(ordered, start=1))),
        *(_rescaled(ranking, entry.capacity, ordered) for entry in ranking.capacities if entry.capacity == "arora"),
    )
    caption = "Gap, and sqrt(capacity / m) times one factor; nets in the order of their gaps."
    nets = tuple(standing.net.name for standing in ordered)
    return (lines("rank_gaps", caption, axis, "gap; arora rescaled", curves, nets=nets),)


def _rescaled(ranking: Ranking, capacity: str, ordered: list[Standing] | tuple[Standing, ...]) -> Curve:
    (entry,) = [entry for entry in ranking.capacities if entry.capacity == capacity]
    values = dict(zip((s.net.name for s in ranking.standings), entry.rescaled, strict=True))
    return Curve(f"{capacity}, rescaled", tuple((float(k), values[s.net.name]) for k, s in enumerate(ordered, start=1)))


def _track_figures(ranking: Ranking) -> tuple[Figure, ...]:
    nets = tuple(standing.net.name for standing in ranking.standings)
    few = len(nets) <= 4
    axis = steps("checkpoint", tuple(shortened(name, 8) if few else str(k) for k, name in enumerate(nets, start=1)))
    gap = Curve("measured gap", tuple((float(k), s.gap) for k, s in enumerate(ranking.standings, start=1)))
    figures = [
        lines(
            "track",
            "Gap between test and training error, and sqrt(arora / m) times one factor, along the checkpoints.",
            axis,
            "gap",
            (gap, _rescaled(ranking, "arora", ranking.standings)),
            nets=nets,
        ),
        lines(
            "track_capacities",
            "Every capacity along the checkpoints, log10.",
            axis,
            "log10 of the capacity",
            tuple(
                Curve(
                    entry.capacity,
                    tuple(
                        (float(k), s.net.log10_capacities[entry.capacity])
                        for k, s in enumerate(ranking.standings, start=1)
                    ),
                )
                for entry in ranking.capacities
            ),
            nets=nets,
        ),
    ]
    for prop in PLOTTED:
        name = prop.topic.name
        depth = max(len(standing.medians[name]) for standing in ranking.standings)
        curves = tuple(
            Curve(
                f"layer {layer + 1}",
                tuple(
                    (float(k), s.medians[name][layer] if layer < len(s.medians[name]) else None)
                    for k, s in enumerate(ranking.standings, start=1)
                ),
            )
            for layer in range(depth)
        )
        caption = f"Median over the rows of: {prop.title}, along the checkpoints."
        figures.append(lines(f"track_{name}", caption, axis, prop.title, curves, nets=nets))
    return tuple(figures)
