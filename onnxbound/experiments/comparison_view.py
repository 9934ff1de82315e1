"""The view of a comparison of nets."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, groupby
from math import ceil, floor

from onnxbound.experiments.comparison import Comparison, LayerComparison
from onnxbound.experiments.error_difference import ErrorDifference
from onnxbound.experiments.figures import comparison_figures
from onnxbound.experiments.net_tables import about_nets, doubtless, doubts, log10_capacity, nets_table
from onnxbound.experiments.nets import Net
from onnxbound.experiments.paired import Paired
from onnxbound.report.terminal import sparkline
from onnxbound.report.view import Section, Table, View
from onnxbound.report.words import marked, shortened
from onnxbound.results import Basis
from onnxbound.stability.catalogue import PLOTTED
from onnxbound.words import counted, number, percent

_NAME = 20
_STABLE = {prop.topic.name: prop.stable for prop in PLOTTED}
_OF_CAPACITIES = (
    "A net with a larger capacity could memorise more. Capacities leave out constants: they compare nets, and bound"
    " nothing."
)
_ROUNDING = 0.01
"""Medians that differ by a smaller share count as equal."""


def comparison_view(comparison: Comparison) -> View:
    """Show errors, medians per property and layer, and how often one net has the larger value."""
    drawn = {figure.name: figure for figure in comparison_figures(comparison)}
    nets = comparison.nets
    several, tested = len(nets) > 2, comparison.error_differences
    sections = [
        Section("Nets", (nets_table(nets),)),
        *([Section("Differences in test error", (_errors(comparison),))] if several and tested else []),
        Section("Capacities", (_capacities(nets), _OF_CAPACITIES)),
        Section("Properties", (_overview(comparison), _read(several))),
    ]
    head = ("layer", "net", "larger on", "distribution", "median")
    seen = [("test", f"{nets[0].test}: {tested[0].rows:,} rows")] if tested else []
    for name, group in groupby(comparison.properties, key=lambda layer: layer.property):
        rows = tuple(row for layer in group for row in _of_layer(layer, nets))
        table = Table(f"{_spaced(name)}, by layer", head, rows, left=4, drawn=3, spare=("distribution",))
        sections.append(Section(_directed(name), (table, drawn[f"compare_{name}"]), long=True))
    return View(
        title=f"{', '.join(net.name for net in nets)} compared",
        about=about_nets(nets, ("data", f"{comparison.data}: {comparison.measured_rows:,} rows measured"), *seen),
        verdict=tuple(_compared(comparison)),
        sections=tuple(sections),
        caveats=doubtless(comparison.warnings, nets),
        version=comparison.version,
    )


def _read(several: bool) -> str:
    """Say how the tables of the properties are read."""
    stable = ", ".join(_spaced(name) for name, which in _STABLE.items() if which == "larger")
    said = (
        "Medians over the rows. Noise changes the outputs of a more stable net less, so it can be compressed further;"
        f" its error need not be smaller. It has larger values of margin, {stable}, and smaller ones of the others."
    )
    if several:
        return f"{said} A page shows below, and a terminal with -v, distributions and how often a net has more."
    return (
        f"{said} 'Larger on' is the share of the rows on which the second net has the larger value, with an interval."
        " These intervals hold together with 95 % confidence. A page shows the distributions below, a terminal with -v."
    )


def _overview(comparison: Comparison) -> Table:
    """List the median of each property at each layer that two nets have, or the only net."""
    nets = comparison.nets
    two = len(nets) == 2
    head = ("property", "layer", *(shortened(net.name, _NAME) for net in nets), *["larger on"] * two)
    rows = tuple(
        (
            _spaced(layer.property),
            str(layer.layer) if layer.layer else "all",
            *(_median(layer, position) for position in range(len(nets))),
            *["".join(_larger(s) for s in layer.statements)] * two,
        )
        for layer in comparison.properties
        if sum(median is not None for median in layer.medians) >= min(2, len(nets))
    )
    return Table("Medians of every property, by layer", head, rows, left=2)


def _errors(comparison: Comparison) -> Table:
    """List on how many test rows only one of two nets errs, and an interval for new rows, rounded outward."""
    names = [shortened(net.name, _NAME) for net in comparison.nets]
    rows = tuple(
        (
            f"{names[d.first - 1]} vs {names[d.second - 1]}",
            f"{100 * d.difference:+.2f}",
            _outwards(d.low, floor, "+"),
            _outwards(d.high, ceil, "+"),
            f"{d.only_first:,}",
            f"{d.only_second:,}",
        )
        for d in comparison.error_differences
    )
    head = ("A vs B", "error of B minus error of A", "from", "to", "only A errs", "only B errs")
    return Table("Differences of test errors in percentage points, with 95 % intervals", head, rows)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _directed(name: str) -> str:
    """Name a property, and which of its values mean that a net tolerates more noise.

    >>> _directed("layer_cushion"), _directed("margin")
    ('layer cushion (larger is more stable)', 'margin')
    """
    stable = _STABLE.get(name)
    return _spaced(name) + (f" ({stable} is more stable)" if stable else "")


def _capacities(nets: Sequence[Net]) -> Table:
    rows = tuple((name, *(log10_capacity(net, name) for net in nets)) for name in nets[0].log10_capacities)
    return Table("log10 of each capacity", ("capacity, log10", *(shortened(net.name, _NAME) for net in nets)), rows)


def _compared(comparison: Comparison) -> Iterator[str]:
    """Name, for each net of a pair, the properties by which it is surely the more stable one, and at which layers."""
    nets = comparison.nets
    yield from doubts(nets)
    if tested := [(net, net.test_error) for net in nets if net.test_error is not None]:
        said = ", ".join(f"{net.name} errs on {percent(error)}" for net, error in tested)
        yield f"On the test rows {said}."
    if len(nets) == 2:
        yield from (_on_new_rows(found, *(net.name for net in nets)) for found in comparison.error_differences)
        yield from _smaller(*nets)
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
                    said = _spaced(name)
                    if len(sure) == len(shared):
                        everywhere.append(said)
                    else:
                        somewhere.append(f"{said} ({'layers' if len(sure) > 1 else 'layer'} {', '.join(sure)})")
            if everywhere or somewhere:
                at_every = f"at every layer by {', '.join(everywhere)}" if everywhere else ""
                at_some = f"by {', '.join(somewhere)}" if somewhere else ""
                yield f"{names[0]} is more stable than {names[1]} {'; '.join(filter(None, (at_every, at_some)))}."


def _smaller(first: Net, second: Net) -> Iterator[str]:
    """Say which of two nets has the smaller capacity, by how many of the capacities."""
    pairs = [(own, second.log10_capacities.get(name)) for name, own in first.log10_capacities.items()]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    smaller = sum(a < b for a, b in known), sum(b < a for a, b in known)
    for count, net, other in zip(smaller, (first, second), (second, first), strict=True):
        if 2 * count > len(known):
            yield f"{net.name} has smaller capacities than {other.name}, by {count} of {len(known)} measures."


def _on_new_rows(found: ErrorDifference, first: str, second: str) -> str:
    """Say whether one of two nets errs less on new rows, or whether the difference may be chance."""
    rows = counted(found.rows, "test row")
    seen = f"of {rows} only {first} errs on {found.only_first:,}, only {second} on {found.only_second:,}"
    if not found.low <= 0 <= found.high:
        better, worse = (first, second) if found.low > 0 else (second, first)
        least, most = sorted((abs(found.low), abs(found.high)))
        return (
            f"On new rows {better} errs less than {worse}, by {_outwards(least, floor)} to {_outwards(most, ceil)}"
            f" percentage points, with 95 % confidence: {seen}."
        )
    start = f"This difference may be chance: {seen}"
    if found.only_first == found.only_second:
        start = "Both err on the same test rows" if found.only_first == 0 else f"Both err equally often: {seen}"
    return (
        f"{start}. With 95 % confidence, the error of {second} on new rows lies between"
        f" {_outwards(-found.low, ceil)} percentage points below that of {first} and {_outwards(found.high, ceil)}"
        " above it."
    )


def _outwards(limit: float, rounded: Callable[[float], int], sign: str = "") -> str:
    """Write a limit in percentage points, rounded down or up, with two decimals or as many as show that it is not 0.

    >>> _outwards(0.00456, floor), _outwards(0.00456, ceil), _outwards(0.000012, floor), _outwards(-0.0021, floor, "+")
    ('0.45', '0.46', '0.001', '-0.21')
    """
    digits = next((d for d in range(2, 7) if rounded(limit * 10 ** (d + 2))), 2)
    return f"{rounded(limit * 10 ** (digits + 2)) / 10**digits:{sign}.{digits}f}"


def _surely_larger(layer: LayerComparison, first: int, second: int) -> bool:
    """Whether the second net has the larger value on most new rows, and by more than rounding."""
    small, large = layer.medians[first], layer.medians[second]
    said = [s for s in layer.statements if {s.first, s.second} == {first + 1, second + 1}]
    if small is None or large is None or not large > small * (1 + _ROUNDING) or not said:
        return False
    return said[0].low > 0.5 if said[0].second == second + 1 else said[0].high < 0.5


def _of_layer(layer: LayerComparison, nets: Sequence[Net]) -> Iterator[tuple[str, ...]]:
    for position, (net, histogram) in enumerate(zip(nets, layer.histograms, strict=True)):
        said = [
            _larger(s) + (f" vs {shortened(nets[s.first - 1].name, 16)}" if len(nets) > 2 else "")
            for s in layer.statements
            if s.second == position + 1
        ]
        line = "" if histogram is None else sparkline(histogram.counts)
        place = str(layer.layer) if layer.layer else "all"
        yield place, shortened(net.name, _NAME), "\n".join(said), line, _median(layer, position)


def _larger(said: Paired) -> str:
    """Write on which share of the rows the second net has the larger value, with its interval."""
    return (
        "equal" if said.equal == said.rows else f"{100 * said.share:.0f} % ({100 * said.low:.0f}-{100 * said.high:.0f})"
    )


def _median(layer: LayerComparison, position: int) -> str:
    basis: Basis = "estimated" if any(layer.estimated[position : position + 1]) else "measured"
    return marked(number(layer.medians[position]), basis)
