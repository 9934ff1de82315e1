"""The shapes of figures: each draws into axes of matplotlib and returns them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log10
from typing import TYPE_CHECKING, Any

from onnxbound.errors import visible
from onnxbound.report.words import power_of_ten, shortened
from onnxbound.results import Histogram
from onnxbound.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0b5fa5", "#b84a00", "#1b7a3d", "#7a3e9d", "#6b5b00", "#8a1c4a")
"""Colours of series, in this order; the contrast of each to white is at least 4.5 to 1."""

_INK = "#1a1a1a"
_WARNING = "#a3001e"
_WIDE = 20.0
"""The axis is logarithmic if positive values differ by more than this factor."""

_FEW_DECADES = 2.0
_MOST_NAMES = 8
"""Up to so many curves all are named, else the first and the last."""

_MOST_NUMBERS = 6
"""Up to so many layers the cells of a matrix show their numbers."""

_WHITE = 0.25
"""The colours of a matrix begin so much below its smallest value, as a share of the distance to the largest."""

_LABEL = 20
_MOST_TICKS = 4

Bar = tuple[str, float | None, str]
"""A name, a length, and what is written at its end."""

Ridge = tuple[str, Sequence[Histogram | None]]
"""A label, and a histogram per series or None."""

Interval = tuple[str, float | None, float | None, float | None]
"""A name, a value, and the ends of its interval; each may be None."""

Curve = tuple[str, Sequence[tuple[float, float | None]]]
"""A name, and (position, value); None breaks the curve."""


def ridges(ax: "Axes", quantity: str, rows: Sequence[Ridge], series: Sequence[str]) -> "Axes":
    """Draw histograms one below the other; each row has a scale of its own, which its histograms share."""
    _scale(ax, "x", quantity, [e for _, histograms in rows for h in histograms if h is not None for e in h.edges])
    drawn: dict[int, Any] = {}
    for place, (_, histograms) in enumerate(rows):
        largest = max((max(h.counts) for h in histograms if h is not None), default=0)
        for which, histogram in enumerate(histograms):
            if histogram is not None:
                tops = [place - 0.85 * count / max(largest, 1) for count in histogram.counts]
                colour = COLOURS[which % len(COLOURS)]
                how = {"baseline": place, "facecolor": f"{colour}33", "edgecolor": colour, "linewidth": 1.1}
                drawn[which] = ax.stairs(tops, histogram.edges, fill=True, **how)
    ax.set_yticks(range(len(rows)), [_short(label) for label, _ in rows], va="bottom")
    ax.set_ylim(len(rows) - 0.9, -1 if len(series) == 1 else -1.2 - 0.45 * len(series))
    if len(series) > 1:
        _legend(ax, {series[which]: handle for which, handle in sorted(drawn.items())}, "upper left")
    return ax


def bars(
    ax: "Axes", quantity: str, rows: Sequence[Bar], most: float | None = None, limit: str = "", at: float = 0
) -> "Axes":
    """Draw bars from the top, and a dashed line if `limit` says what it means.

    Args:
        ax: Where.
        quantity: What the lengths of the bars mean, with the unit.
        rows: The bars.
        most: The end of the axis; the end of the longest bar if None.
        limit: The words beside the line; no line if empty.
        at: The place of the line on the axis.
    """
    names, lengths, words = zip(*rows, strict=True)
    known = [length or 0.0 for length in lengths]
    ax.barh(range(len(rows)), known, height=0.6, color=COLOURS[0], alpha=0.75)
    for place, (length, text) in enumerate(zip(known, words, strict=True)):
        ax.annotate(
            visible(text), (length, place), (4, 0), textcoords="offset points", va="center", annotation_clip=False
        )
    ax.set_yticks(range(len(rows)), list(map(visible, names)))
    ax.set_ylim(len(rows) - 0.4, -1.2 if limit else -0.6)
    ax.set_xlim(min(0.0, *known), most or max(*known, 1.0))
    ax.set_xlabel(quantity)
    ax.grid(visible=False, axis="y")
    if limit:
        ax.axvline(at, color=_WARNING, linestyle="--")
        ax.annotate(limit, (at, -0.85), (-4, 0), textcoords="offset points", color=_WARNING, ha="right")
    return ax


def heat_map(
    ax: "Axes",
    quantity: str,
    size: int,
    values: Mapping[tuple[int, int], float],
    words: Mapping[tuple[int, int], str],
) -> "Axes":
    """Draw a matrix over pairs (source, target), 1-based; pairs without a value stay empty.

    Args:
        ax: Where.
        quantity: What the colours mean.
        size: d; rows are sources 1 to d - 1, columns targets 2 to d.
        values: Pair to value.
        words: Pair to its value as it is written.
    """
    import numpy as np
    from matplotlib.colors import LogNorm

    cells = np.full((max(size - 1, 1), max(size - 1, 1)), np.nan)
    for (source, target), value in values.items():
        cells[source - 1, target - 2] = value if value > 0 else np.nan
    edges = np.arange(len(cells) + 1) + 0.5
    # Nearly white is left to cells without a value.
    low, high = (np.nanmin(cells), np.nanmax(cells)) if np.isfinite(cells).any() else (1.0, 1.0)
    norm = LogNorm(low / (high / low) ** _WHITE, high) if high > low else None
    mesh = ax.pcolormesh(edges + 1, edges, cells, cmap="Blues", norm=norm, rasterized=len(cells) > _MOST_NUMBERS)
    if np.isfinite(cells).any():
        ends = [low, high]
        bar = ax.figure.colorbar(mesh, ax=ax, label=f"{quantity} (log scale)")
        bar.set_ticks(ends, labels=[number(float(end)) for end in ends])
        bar.minorticks_off()
        bar.ax.grid(visible=False)
    middle = 10 ** np.nanmean(np.log10(cells)) if np.isfinite(cells).any() else 0.0
    for (source, target), value in values.items() if len(cells) <= _MOST_NUMBERS else ():
        ax.text(
            target, source, words[source, target], ha="center", va="center", color="white" if value > middle else _INK
        )
    every = -(-len(cells) // 12)
    ax.set_xticks(range(2, len(cells) + 2, every))
    ax.set_yticks(range(1, len(cells) + 1, every))
    ax.set(xlabel="to layer", ylabel="from layer", ylim=(len(cells) + 0.5, 0.5))
    ax.grid(visible=False)
    return ax


def lines(ax: "Axes", places: str, quantity: str, curves: Sequence[Curve], names: Sequence[str] = ()) -> "Axes":
    """Draw curves over positions. If there are many, they are shaded, and only the first and the last are named.

    Args:
        ax: Where.
        places: What the positions are.
        quantity: What the values are, with the unit.
        curves: In the order of their colours; curves without values are not named.
        names: The labels of the positions 1, 2 and so on.
    """
    from matplotlib import colormaps

    _scale(ax, "y", quantity, [value for _, points in curves for _, value in points if value is not None])
    many, handles = len(curves) > _MOST_NAMES, {}
    for place, (name, points) in enumerate(curves):
        shade = colormaps["Blues"](0.3 + 0.7 * place / max(len(curves) - 1, 1))
        colour = shade if many else COLOURS[place % len(COLOURS)]
        values = [float("nan") if value is None else value for _, value in points]
        (line,) = ax.plot([at for at, _ in points], values, "o-", color=colour, markersize=4)
        if any(value is not None for _, value in points):
            handles[name] = line
    if many:
        handles = {name: handles[name] for name in (*list(handles)[:1], *list(handles)[-1:])}
    _legend(ax, handles, "best")
    ax.set_xlabel(places)
    count = max((len(points) for _, points in curves), default=0)
    if names:
        ax.set_xticks(range(1, count + 1, -(-count // 12)), list(map(visible, names[:: -(-count // 12)])))
    else:
        ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def intervals(ax: "Axes", quantity: str, rows: Sequence[Interval]) -> "Axes":
    """Draw values between -1 and 1 with their intervals, from the top."""
    for place, (_, value, low, high) in enumerate(rows):
        if low is not None and high is not None:
            ax.plot([low, high], [place, place], color=COLOURS[0])
        if value is not None:
            ax.plot(value, place, "o", color=COLOURS[0])
        ax.annotate(number(value), (1.04, place), va="center", annotation_clip=False)
    ax.axvline(0, color=_INK, linewidth=0.8)
    ax.set_yticks(range(len(rows)), [visible(name) for name, *_ in rows])
    ax.set(xlim=(-1.03, 1.22), ylim=(len(rows) - 0.5, -0.5), xlabel=quantity, xticks=(-1, -0.5, 0, 0.5, 1))
    return ax


def _short(label: str) -> str:
    """Shorten a label, but not its first word, the layer's number.

    >>> _short("17 features/block/conv/depthwise/weight")
    '17 …epthwise/weight'
    """
    label = visible(label)
    first, _, rest = label.partition(" ")
    return label if len(label) <= _LABEL else f"{first} {shortened(rest, _LABEL - len(first) - 2)}"


def _legend(ax: "Axes", handles: Mapping[str, Any], place: str) -> None:
    names = [shortened(visible(name), 48) for name in handles]
    ax.legend(handles.values(), names, loc=place, fontsize=8, frameon=True, framealpha=0.8, edgecolor="none")


def _scale(ax: "Axes", which: str, quantity: str, values: Iterable[float]) -> None:
    """Scale an axis for values; it is logarithmic if all are positive and differ much."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    known = list(values)
    axis: Any = getattr(ax, f"{which}axis")
    scaled = bool(known) and min(known) > 0 and max(known) > _WIDE * min(known)
    axis.set_label_text(f"{quantity} (log scale)" if scaled else quantity)
    if not scaled:
        axis.set_major_locator(MaxNLocator(_MOST_TICKS))
        return
    set_scale: Callable[..., None] = getattr(ax, f"set_{which}scale")
    set_scale("log")
    few = log10(max(known) / min(known)) < _FEW_DECADES
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=8))
    axis.set_major_formatter(lambda value, _: number(value) if few else power_of_ten(round(log10(value))))
    axis.set_minor_formatter(NullFormatter())
