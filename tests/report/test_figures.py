"""Figures: nothing outside them, the drawing is the data, the same bytes every time, and text that is text."""

import csv
import io
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the extra report is not installed")

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from onnxbound.errors import UsageError
from onnxbound.report.figures import shapes
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.of_report import figures
from onnxbound.results import Histogram
from tests.report.documents import documents
from tests.report.example import example
from tests.report.hostile import NAMES, hostile


def drawn(figure: Figure) -> Axes:
    """The axes of a figure, laid out as its files are."""
    canvas = Canvas(figsize=(5.2, figure.height), layout="constrained")
    ax = figure.on(canvas.subplots())
    canvas.draw_without_rendering()
    return ax


def sketch(shape: Any, shows: str = "what", of: str = "net", **how: Any) -> Figure:
    """A figure of one shape, whose data do not matter."""
    return Figure("sketch", shows, of, partial(shape, **how), ("a",), ((1,),))


def shown(ax: Axes, axis: Axis) -> list[Text]:
    """Labels of the ticks that lie on the axis."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [tick.label1 for tick in ticks if tick.label1.get_text()]


def check(figure: Figure) -> Axes:
    """Every text lies inside the figure, none covers another of its axis, and the data are complete."""
    ax = drawn(figure)
    outer = ax.figure.bbox
    below, beside = shown(ax, ax.xaxis), shown(ax, ax.yaxis)
    for text in (*ax.texts, *ax.get_children(), ax.xaxis.label, ax.yaxis.label, *below, *beside):
        if isinstance(text, Text) and text.get_text():
            box = text.get_window_extent()
            assert outer.x0 - 1 <= box.x0 <= box.x1 <= outer.x1 + 1, text.get_text()
            assert outer.y0 - 1 <= box.y0 <= box.y1 <= outer.y1 + 1, text.get_text()
    boxes = sorted((text.get_window_extent() for text in below), key=lambda box: box.x0)
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes)), [text.get_text() for text in below]
    columns, *rows = csv.reader(io.StringIO(figure.to_csv()))
    assert columns == list(figure.columns)
    assert len(rows) == len(figure.rows) > 0
    return ax


@pytest.mark.parametrize("kind", ["residual", "convolutional", "never right"])
def test_figures_of_reports(kind: str) -> None:
    found = figures(example(kind))
    assert {"capacities", "bounds"} <= {figure.name for figure in found}
    name = Path(example(kind).model.path).name
    for figure in found:
        assert check(figure).get_title(loc="left").splitlines()[-1] == name


@pytest.mark.parametrize("name", ["noise", "compare", "rank", "track"])
def test_figures_of_experiments(name: str) -> None:
    for figure in documents()[name].figures():
        ax = check(figure)
        if "curve" in figure.columns:  # what is drawn is what the data say
            values = [value for line in ax.lines for value in line.get_ydata()]
            assert np.array_equal(
                values, [np.nan if row[-1] is None else row[-1] for row in figure.rows], equal_nan=True
            )


def test_hostile_names_are_text() -> None:
    for figure in figures(hostile("residual")):
        check(figure)
        drawing = figure.to("svg")["svg"]
        assert b"<script>" not in drawing
        assert b"onerror=alert" not in drawing.replace(b"&gt;", b"").partition(b"<img")[2]
        assert b"\x1b" not in drawing


def test_dollars_are_no_mathematics() -> None:
    ax = check(figure := sketch(shapes.bars, quantity="$", rows=[("$a$", 1.0, "$b$")], of="$\\frac$"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["$a$"]
    assert b"$\\frac$" in figure.to("svg")["svg"]


@pytest.mark.parametrize("kind, head", [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_files_are_the_same_every_time(kind: Any, head: bytes) -> None:
    first, *_ = figures(example("chain"))
    content = first.to(kind)[kind]
    assert content.startswith(head)
    assert content == first.to("png", kind)[kind]


def test_text_is_text() -> None:
    """A reader can select it, and a search finds it."""
    drawing = next(iter(figures(example("chain")))).to("svg")["svg"].decode()
    assert "theorem-2.2</text>" in drawing
    assert "<metadata" not in drawing


def test_bars_end_at_their_values() -> None:
    (bounds, *_) = figures(example("chain"))
    ax = drawn(bounds)
    known = [0.0 if length is None else length for _, length, _ in bounds.rows]
    assert [patch.get_width() for patch in ax.patches] == known[:-1]
    (limit,) = ax.lines
    assert limit.get_xdata()[0] == known[-1] == pytest.approx(100 * 2 / 3)


def test_histograms_draw_every_row_to_scale() -> None:
    values = np.random.default_rng(0).normal(size=500)
    counts, edges = np.histogram(values, 20)
    found = Histogram(tuple(edges), tuple(counts.tolist()))
    rows = [("one", (found, None)), ("two", (found, found))]
    ax = drawn(sketch(shapes.ridges, quantity="q", rows=rows, series=("a", "b")))
    patches = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    assert len(patches) == 3
    for patch in patches:
        heights, drawn_edges, base = patch.get_data()
        assert np.allclose((base - heights) / 0.85 * counts.max(), counts)
        assert np.allclose(drawn_edges, edges)


@pytest.mark.parametrize("size", [2, 5, 60])
def test_heat_maps(size: int) -> None:
    values = {(i, j): float(i * j) * 1e-3 for i in range(1, size) for j in range(i + 1, size + 1)}
    figure = sketch(shapes.heat_map, quantity="q", size=size, values=values, words=dict.fromkeys(values, "≈1"))
    (mesh,) = (found for found in check(figure).collections if isinstance(found, QuadMesh))
    cells = mesh.get_array()
    there = np.argwhere(~np.ma.getmaskarray(cells))
    assert {(int(i) + 1, int(j) + 2): cells[i, j] for i, j in there} == pytest.approx(values)


def test_long_names_of_layers_keep_their_number() -> None:
    found = Histogram((0.0, 1.0), (3,))
    rows = [(f"{k} /features/features.{k}/block/conv/depthwise", (found,)) for k in (7, 40)]
    ax = drawn(sketch(shapes.ridges, quantity="q", rows=rows, series=("a",)))
    assert [label.get_text().split()[0] for label in ax.get_yticklabels()] == ["7", "40"]


@pytest.mark.parametrize(("count", "named"), [(3, [0, 2]), (20, [0, 19])])
def test_curves_that_are_drawn_are_told_apart(count: int, named: list[int]) -> None:
    """Of three the middle one has no value; of twenty only the ends are named."""
    curves = [(f"into {k}", ((1.0, None if (count, k) == (3, 1) else k + 1.0),)) for k in range(count)]
    ax = drawn(sketch(shapes.lines, places="p", quantity="q", curves=curves))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"into {k}" for k in named]
    assert len({str(line.get_color()) for line in ax.lines}) == count


def test_a_gap_breaks_a_curve() -> None:
    curves = [("a", ((1.0, 1.0), (2.0, 2.0), (3.0, None), (4.0, 1e6)))]
    (line,) = drawn(sketch(shapes.lines, places="p", quantity="q", curves=curves)).lines
    assert np.array_equal(line.get_ydata(), [1.0, 2.0, np.nan, 1e6], equal_nan=True)


@pytest.mark.parametrize("values, scale", [([1.0, 1000.0], "log"), ([0.0, 1000.0], "linear"), ([1.0, 10.0], "linear")])
def test_an_axis_is_logarithmic_where_that_helps(values: list[float], scale: str) -> None:
    curves = [("a", tuple(enumerate(values, start=1)))]
    figure = sketch(shapes.lines, places="p", quantity="q", curves=curves)
    ax = drawn(figure)
    assert ax.get_yscale() == scale
    assert ("log scale" in ax.get_ylabel()) == (scale == "log")


def test_a_figure_is_drawn_into_axes_of_the_readers_own() -> None:
    report, ax = example("chain"), Canvas().subplots()
    assert report.plot("layer_cushion", ax=ax) is ax
    assert len(ax.patches) == report.model.depth
    with pytest.raises(UsageError, match="layer_cushion"):
        report.plot("none")


def test_names_of_any_alphabet_are_drawn() -> None:
    figure = sketch(shapes.bars, quantity="q", rows=[("層", 1.0, NAMES[5])], shows=NAMES[5], of="模型")
    assert "模型" in figure.to("svg")["svg"].decode()
    assert figure.to("png")


def test_figures_are_listed_by_name() -> None:
    listed = repr(example("chain").figures())
    assert "<Figure layer_cushion: " in listed
    assert len(listed) < 2000
