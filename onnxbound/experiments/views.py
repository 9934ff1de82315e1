"""The views of the experiments."""

from collections.abc import Iterator, Sequence
from itertools import combinations, groupby
from math import isfinite
from pathlib import Path

from onnxbound.experiments.attenuation import Attenuation
from onnxbound.experiments.comparison import Comparison, LayerComparison
from onnxbound.experiments.figures import comparison_figures, noise_figure, ranking_figures, track_figures
from onnxbound.experiments.nets import Net
from onnxbound.experiments.ranking import Ranked, Ranking, Track
from onnxbound.report.terminal import bar, sparkline
from onnxbound.report.view import Facts, Section, Table, View
from onnxbound.report.words import marked, shortened
from onnxbound.results import Basis
from onnxbound.stability.catalogue import PLOTTED
from onnxbound.words import number, percent

_MOST_TARGETS = 8
_NAME = 20
_STABLE = {prop.topic.name: prop.stable for prop in PLOTTED}
_OF_CAPACITIES = (
    "A net with a larger capacity could memorise more. Capacities leave out constants: they compare nets, and bound"
    " nothing."
)
_ROUNDING = 0.01
"""Medians that differ by a smaller share count as equal."""


def noise_view(attenuation: Attenuation) -> View:
    """Show [A] Fig. 1 as numbers: a row per layer where noise enters, a column per layer where it arrives."""
    depth = len(attenuation.layer_names)
    shown = sorted({1 + round(k * (depth - 1) / (_MOST_TARGETS - 1)) for k in range(_MOST_TARGETS)})
    rows = []
    for curve in attenuation.curves:
        arrived = {a.target: a.relative_error for a in curve.arrivals}
        cells = (number(own.median) if (own := arrived.get(j)) else "" for j in shown)
        rows.append((str(curve.source), attenuation.layer_names[curve.source - 1], *cells))
    table = Table("Relative error, median", ("", "noise into", *map(str, shown)), tuple(rows), left=2)
    radius = percent(attenuation.radius)
    about = Facts((("model", attenuation.model), ("data", f"{attenuation.data}: {attenuation.measured_rows:,} rows")))
    said = (
        f"Noise of {radius} of the norm of a layer's input is added to it; cells are relative errors at later outputs."
    )
    return View(
        title=f"Noise in {Path(attenuation.model).name}",
        about=about,
        verdict=tuple(_attenuated(attenuation)),
        sections=(Section("Relative error behind the layers", (said, table, noise_figure(attenuation))),),
        version=attenuation.version,
    )


def _attenuated(attenuation: Attenuation) -> Iterator[str]:
    """Name the layers at which noise changes the logits most and least."""
    depth = len(attenuation.layer_names)
    at_output = {
        curve.source: own.median
        for curve in attenuation.curves
        for a in curve.arrivals
        if a.target == depth and (own := a.relative_error)
    }
    if at_output:
        most, least = (of(at_output, key=lambda source: at_output[source]) for of in (max, min))
        radius = percent(attenuation.radius)
        yield (
            f"Noise of {radius} in a layer's input changes the logits most at layer {most}, by"
            f" {percent(at_output[most])}, and least at layer {least}, by {percent(at_output[least])}."
        )


def comparison_view(comparison: Comparison) -> View:
    """Show medians and distributions per property and layer, and how often one net has the larger value."""
    drawn = {figure.name: figure for figure in comparison_figures(comparison)}
    said = (
        "'Larger on' is the share of the rows on which a net has a larger value than the"
        f" {'first' if len(comparison.nets) < 3 else 'one behind vs'}, with an interval. All intervals hold together"
        " with 95 % confidence."
    )
    sections = [
        Section("Nets", (_nets(comparison.nets),)),
        Section("Capacities", (_capacities(comparison.nets), _OF_CAPACITIES)),
        Section("Properties", (said,)),
    ]
    head = ("layer", "net", "larger on", "distribution", "median")
    for name, group in groupby(comparison.properties, key=lambda layer: layer.property):
        rows = tuple(row for layer in group for row in _of_layer(layer, comparison.nets))
        table = Table(f"{name.replace('_', ' ')}, by layer", head, rows, left=4, drawn=3, spare=("distribution",))
        sections.append(Section(_directed(name), (table, drawn[f"compare_{name}"])))
    return View(
        title=f"{', '.join(net.name for net in comparison.nets)} compared",
        about=_about(comparison.nets, ("data", f"{comparison.data}: {comparison.measured_rows:,} rows measured")),
        verdict=tuple(_compared(comparison)),
        sections=tuple(sections),
        caveats=comparison.warnings,
        version=comparison.version,
    )


def _directed(name: str) -> str:
    """Name a property, and which of its values mean that a net tolerates more noise.

    >>> _directed("layer_cushion"), _directed("margin")
    ('layer cushion (larger is more stable)', 'margin')
    """
    stable = _STABLE.get(name)
    return name.replace("_", " ") + (f" ({stable} is more stable)" if stable else "")


def _capacities(nets: Sequence[Net]) -> Table:
    rows = tuple((name, *(_log10(net, name) for net in nets)) for name in nets[0].log10_capacities)
    return Table("log10 of each capacity", ("capacity, log10", *(shortened(net.name, _NAME) for net in nets)), rows)


def _log10(net: Net, capacity: str) -> str:
    log = net.log10_capacities[capacity]
    basis: Basis = "estimated" if capacity in net.estimated else "measured"
    return marked(number(None if log is None else round(log, 2)), basis)


def _compared(comparison: Comparison) -> Iterator[str]:
    """Name, for each net of a pair, the properties by which it is surely the more stable one, and at which layers."""
    nets = comparison.nets
    if tested := [(net, net.test_error) for net in nets if net.test_error is not None]:
        said = ", ".join(f"{net.name} errs on {percent(error)}" for net, error in tested)
        yield f"On the test rows {said}."
    depths = [str(net.depth) for net in nets]
    if len(set(depths)) > 1:
        yield f"The nets have {', '.join(depths)} layers; layers with the same number are compared."
    for first, second in combinations(range(len(nets)), 2):
        for better, worse in ((first, second), (second, first)):
            names = [nets[place].name for place in (better, worse)]
            everywhere: list[str] = []
            somewhere: list[str] = []
            for name, group in groupby(comparison.properties, key=lambda layer: layer.property):
                shared = [own for own in group if None not in (own.medians[first], own.medians[second])]
                pair = (better, worse) if _STABLE.get(name) == "smaller" else (worse, better)
                sure = [str(own.layer) for own in shared if _surely_larger(own, *pair)]
                if name not in _STABLE and sure:
                    yield f"{names[0]} has larger margins than {names[1]}."
                elif sure:
                    said = name.replace("_", " ")
                    if len(sure) == len(shared):
                        everywhere.append(said)
                    else:
                        somewhere.append(f"{said} ({'layers' if len(sure) > 1 else 'layer'} {', '.join(sure)})")
            if everywhere or somewhere:
                at_every = f"at every layer by {', '.join(everywhere)}" if everywhere else ""
                at_some = f"by {', '.join(somewhere)}" if somewhere else ""
                yield f"{names[0]} is more stable than {names[1]} {'; '.join(filter(None, (at_every, at_some)))}."


def _surely_larger(layer: LayerComparison, first: int, second: int) -> bool:
    """Whether the second net has the larger value on most new rows, and by more than rounding."""
    small, large = layer.medians[first], layer.medians[second]
    said = [s for s in layer.statements if {s.first, s.second} == {first + 1, second + 1}]
    if small is None or large is None or not large > small * (1 + _ROUNDING) or not said:
        return False
    return said[0].low > 0.5 if said[0].second == second + 1 else said[0].high < 0.5


def _of_layer(layer: LayerComparison, nets: Sequence[Net]) -> Iterator[tuple[str, ...]]:
    for position, (net, histogram, median) in enumerate(zip(nets, layer.histograms, layer.medians, strict=True)):
        said = [
            ("equal" if s.equal == s.rows else f"{100 * s.share:.0f} % ({100 * s.low:.0f}-{100 * s.high:.0f})")
            + (f" vs {shortened(nets[s.first - 1].name, 16)}" if len(nets) > 2 else "")
            for s in layer.statements
            if s.second == position + 1
        ]
        line = "" if histogram is None else sparkline(histogram.counts)
        place = str(layer.layer) if layer.layer else "all"
        basis: Basis = "estimated" if any(layer.estimated[position : position + 1]) else "measured"
        yield place, shortened(net.name, _NAME), "\n".join(said), line, marked(number(median), basis)


def ranking_view(ranking: Ranking) -> View:
    """Show gaps, capacities and rank correlations."""
    tracked = isinstance(ranking, Track)
    gaps, correlations, *others = (track_figures if tracked else ranking_figures)(ranking)
    if not tracked:
        gaps, correlations = correlations, gaps
    head = ("net", "train error", "test error", "gap", "from", "to")
    rows = tuple(
        (shortened(s.net.name, 28), *map(_points, (s.net.train_error, s.test_error, s.gap, s.gap_low, s.gap_high)))
        for s in ranking.standings
    )
    names = [entry.capacity for entry in ranking.capacities]
    logs = tuple(
        (
            shortened(s.net.name, 28),
            *(_log10(s.net, name) for name in names),
        )
        for s in ranking.standings
    )
    what = "no intervals, since checkpoints depend on one another" if tracked else "95 % intervals, from five nets on"
    taus = tuple(_correlation(entry) for entry in ranking.capacities)
    tau_head = ("capacity", "tau-b, from -1 to 1", "tau-b", "from", "to", "nets")
    sections = (
        Section("Nets", (_nets([standing.net for standing in ranking.standings]),)),
        Section("Gaps between test and training error", (Table("With 95 % intervals", head, rows), gaps)),
        Section(
            f"Rank correlation with the gap ({what})", (Table("Kendall", tau_head, taus, left=2, drawn=1), correlations)
        ),
        Section(
            "Capacities, for comparison only",
            (Table("Decimal logarithms", ("net", *names), logs, spare=tuple(names[:2])),),
        ),
        *([Section("Properties along the checkpoints", tuple(others), long=True)] if others else []),
    )
    return View(
        title=f"{'Checkpoints' if tracked else 'Nets'} {', '.join(s.net.name for s in ranking.standings[:3])}",
        about=_about([s.net for s in ranking.standings], ("data", ranking.data), ("test", ranking.test)),
        verdict=tuple(_ranked(ranking)),
        sections=sections,
        caveats=ranking.warnings,
        version=ranking.version,
    )


def _ranked(ranking: Ranking) -> Iterator[str]:
    """Name the net with the smallest gap, and the capacity that orders the nets best."""
    best, worst = (of(ranking.standings, key=lambda s: s.gap) for of in (min, max))
    small, large = _points(best.gap), _points(worst.gap)
    yield f"The gap is smallest in {best.net.name}, {small}, and largest in {worst.net.name}, {large}."
    known = [entry for entry in ranking.capacities if entry.correlation.tau is not None]
    closest = max(known, key=lambda entry: entry.correlation.tau or 0.0, default=None)
    if len(ranking.standings) < 3:
        yield "Two nets are too few to compare capacities: give three or more."
    elif closest is None or not (c := closest.correlation).tau or c.tau < 0:
        yield "No capacity orders the nets as their gaps do."
    else:
        yield (
            f"Of {len(known)} capacities, {closest.capacity} agrees best with the order of the gaps: Kendall's tau-b is"
            f" {number(c.tau)}."
        )


def _correlation(entry: Ranked) -> tuple[str, ...]:
    c = entry.correlation
    drawn = "" if c.tau is None else bar((c.tau + 1) / 2, 20)
    return entry.capacity, drawn, number(c.tau), number(c.low), number(c.high), str(c.values)


def _points(share: float) -> str:
    return f"{100 * share:.2f} %" if isfinite(share) else number(None)


def _nets(nets: Sequence[Net]) -> Table:
    tested = [net.test_error for net in nets if net.test_error is not None]
    head = ("net", "layers", "parameters", "train error", *["test error"] * bool(tested), "gamma")
    rows = tuple(
        (
            net.name,
            str(net.depth),
            f"{net.parameters:,}",
            percent(net.train_error),
            *[percent(net.test_error)] * bool(tested),
            number(net.gamma),
        )
        for net in nets
    )
    return Table("What is compared", head, rows)


def _about(nets: Sequence[Net], *more: tuple[str, str]) -> Facts:
    """List the full path of every net."""
    return Facts((*((net.name, net.path) for net in nets), *more))
