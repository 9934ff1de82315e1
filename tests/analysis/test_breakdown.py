"""Classes and worst rows, held against the per-row arrays."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from onnxbound.analysis.plan import costs
from onnxbound.analysis.settings import Settings
from onnxbound.errors import UsageError
from onnxbound.graph.load import load
from tests.nets import random_mlp
from tests.report.example import KINDS, example, report_of


@pytest.mark.parametrize("kind", KINDS)
def test_classes_add_up(kind: str) -> None:
    report = example(kind)
    assert sum(found.rows for found in report.per_class) == report.data.rows
    errors = sum(found.rows * found.train_error for found in report.per_class)
    assert errors == pytest.approx(report.data.rows * report.data.train_error)
    smallest = [found.margin_min for found in report.per_class if found.margin_min is not None]
    assert min(smallest, default=None) == report.margin.min
    for layer in report.layers:
        cushions = [c for f in report.per_class if (c := f.layer_cushion_min[layer.index - 1]) is not None]
        assert min(cushions, default=None) == (layer.layer_cushion.min if layer.layer_cushion else None)


def test_worst_rows_are_the_worst(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [5, 6, 4]))
    report = report_of(network, Settings(measured=None, worst=3))
    margin, cushion = report.samples["margin"], report.samples["layer_cushion"]
    listed = report.worst.smallest_margin
    assert [row.index for row in listed] == np.argsort(margin)[:3].tolist()
    np.testing.assert_allclose([row.margin for row in listed], np.sort(margin)[:3], rtol=1e-5)
    by_cushion = report.worst.smallest_cushion
    assert [row.index for row in by_cushion] == np.argsort(cushion.min(axis=1))[:3].tolist()
    rows = (*listed, *by_cushion)
    assert [row.label == row.predicted for row in rows] == [bool(margin[row.index] > 0) for row in rows]
    assert [row.layer for row in by_cushion] == [int(cushion[row.index].argmin()) + 1 for row in by_cushion]
    text = io.StringIO()
    report.render(Console(file=text, width=100))
    assert text.getvalue().count("Training rows of smallest") == 2


def test_a_negative_number_of_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="`worst` must be at least 0"):
        Settings(worst=-1)


def test_many_classes_and_layers_are_told_of_in_advance(tmp_path: Path) -> None:
    small = load(random_mlp(tmp_path / "small.onnx", [5, 6, 4]))
    assert costs(small, Settings()) == ()
    (classes,) = costs(load(random_mlp(tmp_path / "wide.onnx", [5, 6, 1000])), Settings())
    assert "1,000 products per row" in classes
    deep = load(random_mlp(tmp_path / "deep.onnx", [3] * 53))
    (layers,) = costs(deep, Settings())
    assert f"{deep.depth} layers make {deep.depth * (deep.depth - 1) // 2:,} pairs" in layers
    assert costs(deep, Settings(pairs="output")) == ()
