"""diff: what changed between two reports, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import failing, onnxbound
from tests.report.example import example


def write(path: Path, **changes: Any) -> Path:
    document: Any = example("chain").to_json()
    for name, value in changes.items():
        parent, *steps, last = document, *name.split("__")
        for step in steps:
            parent = parent[int(step) if step.isdecimal() else step]
        parent[last] = value
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return write(tmp_path / "a.json")


def test_the_same_report_has_not_changed(before: Path, tmp_path: Path) -> None:
    later = write(tmp_path / "b.json", tool__seconds=1e6, tool__peak_rss_bytes=None)
    found = onnxbound("diff", before, later, "--json", "--exit-code")
    assert (found.code, found.json()["changes"]) == (0, [])


def test_a_file_compared_with_itself_is_told(before: Path, tmp_path: Path) -> None:
    outcome = onnxbound("diff", before, tmp_path / "." / before.name)
    assert (outcome.code, "are the same file" in outcome.stderr) == (0, True)
    assert "same file" not in onnxbound("diff", before, write(tmp_path / "b.json")).stderr


def test_changes_are_named_and_measured(before: Path, tmp_path: Path) -> None:
    gamma = example("chain").margin.gamma
    assert gamma is not None
    later = write(
        tmp_path / "b.json",
        margin__gamma=1.5 * gamma,
        margin__min=None,
        data__sha256="0",
        layers__0__frobenius_norm=example("chain").layers[0].frobenius_norm * (1 + 1e-7),
    )
    found = onnxbound("diff", before, later, "--json", "--exit-code")
    document = found.json()
    assert document["schema"] == "onnxbound.difference/1"
    changed = {change["name"]: change for change in document["changes"]}
    assert set(changed) == {"margin.gamma", "margin.min", "data.sha256"}
    assert changed["margin.gamma"]["relative"] == pytest.approx(0.5)
    assert changed["margin.min"]["after"] is None
    assert (found.code, document["same_data"]) == (1, False)
    table = onnxbound("diff", before, later)
    assert table.code == 0
    assert "+50.0 %" in table.stdout
    assert "different rows" in table.stdout
    assert "2 more values changed" in table.stdout
    exact = onnxbound("diff", before, later, "--tolerance", "0", "--json").json()
    assert "layers.1.frobenius_norm" in {change["name"] for change in exact["changes"]}


def test_what_cannot_be_compared(before: Path, tmp_path: Path) -> None:
    assert failing("diff", before, tmp_path / "none.json")["code"] == "report-not-found"
    assert failing("diff", before, before, "--tolerance", "-1")["code"] == "usage"


def test_a_gate_on_what_is_worse_lets_improvements_pass(tmp_path: Path) -> None:
    before = write(tmp_path / "before.json", data__train_error=0.1)
    better = write(tmp_path / "better.json", data__train_error=0.05, margin__gamma=7.0)
    worse = write(tmp_path / "worse.json", data__train_error=0.12)
    assert onnxbound("diff", before, better, "--exit-code").code == 1
    assert onnxbound("diff", before, better, "--fail-if-worse").code == 0
    said = onnxbound("diff", before, better).stdout
    assert "No error and no bound on the error has become larger by more than 0.01 % of it." in said
    assert "more than 0.0002 %" in onnxbound("diff", before, better, "--tolerance", "2e-6").stdout
    refused = onnxbound("diff", before, worse, "--fail-if-worse")
    assert "Worse: data.train_error 10 % to 12 %." in refused.stdout
    assert (refused.code, "worse: data.train_error" in refused.stderr) == (1, True)
    assert onnxbound("diff", before, worse, "--fail-if-worse", "--tolerance", "0.3").code == 0
    none = write(tmp_path / "none.json", data__train_error=0.0)
    assert onnxbound("diff", none, better, "--fail-if-worse").code == 1
    # A net may become better and overfit more.
    gap = write(tmp_path / "gap.json", data__train_error=0.01, data__gap=0.2)
    assert onnxbound("diff", before, gap, "--fail-if-worse").code == 0
    # A test error that is there no more cannot be called as good as before.
    tested = write(tmp_path / "tested.json", data__test_error=0.25)
    assert onnxbound("diff", tested, before, "--fail-if-worse").code == 1
    assert onnxbound("diff", before, tested, "--fail-if-worse").code == 0
