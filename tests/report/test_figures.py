"""Figures: well-formed SVG, nothing outside its drawing, and data that say what is drawn."""

import csv
import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbound.report.figures.axis import Axis, axis_for, linear, logarithmic
from onnxbound.report.figures.bars import Bar, bars
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.heat_map import heat_map
from onnxbound.report.figures.lines import Curve, lines, steps
from onnxbound.report.figures.of_report import figures
from onnxbound.report.figures.ridges import Ridge, ridges
from onnxbound.report.figures.svg import text_width, to_svg
from onnxbound.results import Histogram
from tests.report.example import KINDS, example
from tests.report.hostile import hostile

SVG = "{http://www.w3.org/2000/svg}"


def check(figure: Figure) -> ET.Element:
    """The parsed drawing; every coordinate lies in it, and every text by its estimated width."""
    root = ET.fromstring(to_svg(figure.drawing))
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for rectangle in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rectangle.attrib[name]) for name in ("x", "y", "width", "height"))
        assert -0.2 <= x <= x + w <= width + 0.2
        assert -0.2 <= y <= y + h <= height + 0.2
    for polyline in root.iter(f"{SVG}polyline"):
        for point in polyline.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    for text in root.iter(f"{SVG}text"):
        x, length = float(text.attrib["x"]), text_width(text.text or "")
        start = x - {"start": 0, "middle": length / 2, "end": length}[text.get("text-anchor", "start")]
        assert start >= -1, text.text
        assert start + length <= width + 1, text.text
        assert 0 <= float(text.attrib["y"]) <= height
    columns, *rows = csv.reader(io.StringIO(figure.to_csv()))
    assert columns == list(figure.columns)
    assert len(rows) == len(figure.rows) > 0
    return root


@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_reports(kind: str) -> None:
    found = figures(example(kind))
    assert {"capacities", "bounds"} <= {figure.name for figure in found}
    for figure in found:
        check(figure)
    for figure in figures(hostile(kind)):
        check(figure)


def test_the_vacuous_line_divides_bounds() -> None:
    rows = (Bar("a", -1.0, "0.1"), Bar("b", 1.0, "10"), Bar("c", None, "–"))
    root = check(bars("bounds", "c", "q", rows, 0.0, "limit"))
    (limit,) = [line for line in root.iter(f"{SVG}line") if line.get("stroke-dasharray")]
    drawn = [r for r in root.iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    ends = [float(bar.attrib["x"]) + float(bar.attrib["width"]) for bar in drawn]
    assert ends[0] < float(limit.attrib["x1"]) < ends[1]
    assert len(ends) == 2


def test_histograms_draw_every_row() -> None:
    values = np.random.default_rng(0).normal(size=500)
    counts, edges = np.histogram(values, 20)
    found = Histogram(tuple(edges), tuple(counts.tolist()))
    root = check(ridges("r", "c", "q", (Ridge("one", (found, None)), Ridge("two", (found, found))), ("a", "b")))
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert sum(int(title.split(": ")[1].split()[0].replace(",", "")) for title in titles) == 1500


@pytest.mark.parametrize("size", [2, 5, 60])
def test_heat_maps(size: int) -> None:
    values = {(i, j): float(i * j) * 1e-3 for i in range(1, size) for j in range(i + 1, size + 1)}
    root = check(heat_map("h", "c", "q", size, values))
    assert len(list(root.iter(f"{SVG}title"))) == len(values)


def test_long_names_of_layers_keep_their_number() -> None:
    found = Histogram((0.0, 1.0), (3,))
    rows = tuple(Ridge(f"{k} /features/features.{k}/block/conv", (found,)) for k in (7, 40))
    root = check(ridges("r", "c", "q", rows, ("a",)))
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert [text.split()[0] for text in texts if "conv" in text] == ["7", "40"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, 1.0 + 1e-7], ["0.5", "1", "1.5"]),
        ([0.9991, 0.9999], ["0.999", "0.9992", "0.9994", "0.9996", "0.9998", "1"]),
    ],
)
def test_ticks_of_values_that_are_nearly_equal(values: list[float], words: list[str]) -> None:
    assert [word for _, word in linear("", values).ticks] == words


@pytest.mark.parametrize(("count", "named"), [(3, [0, 2]), (20, [0, 19])])
def test_curves_that_are_drawn_are_told_apart(count: int, named: list[int]) -> None:
    """Of three the middle one has no value; of twenty only the ends are named."""
    curves = tuple(Curve(f"into {k}", ((1.0, None if (count, k) == (3, 1) else k + 1.0),)) for k in range(count))
    root = check(lines("l", "c", steps("layer", ("1",)), "error", curves))
    texts = [text.text for text in root.iter(f"{SVG}text") if (text.text or "").startswith("into")]
    assert texts == [f"into {k}" for k in named]
    fills = [circle.attrib["fill"] for circle in root.iter(f"{SVG}circle")]
    assert len(set(fills)) == len(fills) == (2 if count == 3 else 20)


def test_a_gap_breaks_a_curve() -> None:
    curve = Curve("a", ((1.0, 1.0), (2.0, 2.0), (3.0, None), (4.0, 1e6)))
    root = check(lines("l", "c", steps("layer", ("1", "2", "3", "4")), "error", (curve,)))
    assert len(list(root.iter(f"{SVG}polyline"))) == 2
    assert len(list(root.iter(f"{SVG}circle"))) == 3


@given(st.lists(st.floats(-1e12, 1e12, allow_subnormal=False), min_size=1, max_size=6))
def test_axes_hold_their_values(values: list[float]) -> None:
    axis = linear("", values)
    rounding = 1e-6 * (axis.high - axis.low)
    assert axis.low - rounding <= min(values)
    assert max(values) <= axis.high + rounding
    _few_distinct_ticks(axis)


@given(st.lists(st.floats(-300, 300, allow_subnormal=False), min_size=1, max_size=6))
def test_logarithmic_axes_hold_their_values(logs: list[float]) -> None:
    axis = logarithmic("", logs)
    assert axis.low <= min(logs) + 1e-6
    assert max(logs) <= axis.high + 1e-6
    _few_distinct_ticks(axis)


def _few_distinct_ticks(axis: Axis) -> None:
    assert 2 <= len(axis.ticks) <= 10
    words = [word for _, word in axis.ticks]
    assert len(set(words)) == len(words)


def test_an_axis_is_logarithmic_where_that_helps() -> None:
    assert axis_for("", [1.0, 1000.0])[1]
    assert not axis_for("", [0.0, 1000.0])[1]
    assert not axis_for("", [1.0, 10.0])[1]
