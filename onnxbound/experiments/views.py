"""The views of `noise`, `rank` and `track`."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from onnxbound.experiments.attenuation import Attenuation
from onnxbound.experiments.figures import noise_figure, ranking_figures, track_figures
from onnxbound.experiments.net_tables import about_nets, doubtless, doubts, log10_capacity, nets_table
from onnxbound.experiments.ranking import Ranked, Ranking, Track
from onnxbound.report.terminal import bar
from onnxbound.report.view import Facts, Section, Table, View
from onnxbound.report.words import shortened
from onnxbound.words import number, percent

_MOST_TARGETS = 8


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


def ranking_view(ranking: Ranking) -> View:
    """Show gaps, capacities and rank correlations."""
    tracked = isinstance(ranking, Track)
    gaps, correlations, *others = (track_figures if tracked else ranking_figures)(ranking)
    if not tracked:
        gaps, correlations = correlations, gaps
    nets = [standing.net for standing in ranking.standings]
    head = ("net", "train error", "test error", "gap", "from", "to")
    rows = tuple(
        (shortened(s.net.name, 28), *map(_points, (s.net.train_error, s.test_error, s.gap, s.gap_low, s.gap_high)))
        for s in ranking.standings
    )
    names = [entry.capacity for entry in ranking.capacities]
    logs = tuple(
        (
            shortened(s.net.name, 28),
            *(log10_capacity(s.net, name) for name in names),
        )
        for s in ranking.standings
    )
    what = "no intervals, since checkpoints depend on one another" if tracked else "95 % intervals, from five nets on"
    taus = tuple(_correlation(entry) for entry in ranking.capacities)
    tau_head = ("capacity", "tau-b, from -1 to 1", "tau-b", "from", "to", "nets")
    sections = (
        Section("Nets", (nets_table(nets),)),
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
        about=about_nets(nets, ("data", ranking.data), ("test", ranking.test)),
        verdict=tuple(_ranked(ranking)),
        sections=sections,
        caveats=doubtless(ranking.warnings, nets),
        version=ranking.version,
    )


def _ranked(ranking: Ranking) -> Iterator[str]:
    """Name the net with the smallest gap, and the capacity that orders the nets best."""
    best, worst = (of(ranking.standings, key=lambda s: s.gap) for of in (min, max))
    small, large = _points(best.gap), _points(worst.gap)
    yield from doubts([standing.net for standing in ranking.standings])
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
