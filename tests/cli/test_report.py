"""report: a page, CSV and figures from the JSON of an analysis."""

import contextlib
import csv
import io
import json
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the extra report is not installed")

from onnxbound.cli.app import run
from onnxbound.cli.flags import in_flags
from onnxbound.report import extra
from onnxbound.report.csv import to_csv
from tests.cli.command import Outcome, failing, onnxbound
from tests.cli.test_hostile_strings import Terminal
from tests.report.documents import dumped
from tests.report.example import example


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(example("chain").to_json()))
    return path


def refused(code: str, *arguments: str | Path) -> Outcome:
    outcome = onnxbound("report", *arguments)
    assert f"(onnxbound explain {code})" in outcome.stderr
    assert outcome.stdout == ""
    return outcome


def test_a_page(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    assert onnxbound("report", source, "-o", out).code == 0
    assert out.read_text(encoding="utf-8") == onnxbound("report", source).stdout
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert refused("output-exists", source, "-o", out).code == 6


def test_no_page_is_poured_into_a_terminal(source: Path, tmp_path: Path) -> None:
    terminal, err = Terminal(), io.StringIO()
    with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(err):
        assert run(["report", str(source)]) == 2
        assert run(["report", str(source), "-o", str(tmp_path / "page.html")]) == 0
    assert (terminal.getvalue(), "write it with -o page.html" in err.getvalue()) == ("", True)
    with contextlib.redirect_stdout(terminal):
        assert run(["report", str(source), "--format", "csv"]) == 0
    assert terminal.getvalue().startswith("name,value")


def test_json_names_what_was_written(source: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "out.md", tmp_path / "plots"
    document = onnxbound("report", source, "-o", out, "--plots", folder, "--json").json()
    assert document["schema"] == "onnxbound.files/1"
    assert document["files"][0] == str(out)
    assert set(document["files"]) == {str(path) for path in (out, *folder.iterdir())}
    assert onnxbound("report", source, "--json").json()["files"] == []
    assert failing("report", source, "-o", out)["code"] == "output-exists"
    assert failing("report", tmp_path / "none.json", "-o", tmp_path / "new.html")["exit_code"] == 4
    both = onnxbound("report", source, "-o", "-", "--json")
    assert (both.code, both.json()["code"]) == (2, "usage")


def test_csv(source: Path, tmp_path: Path) -> None:
    assert onnxbound("report", source, "-o", tmp_path / "out.csv").code == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        written = list(csv.reader(file))
    expected = csv.reader(to_csv(example("chain").to_json()).splitlines())
    assert written == [[in_flags(cell) for cell in row] for row in expected]


def test_long_tables_are_printed_on_demand(source: Path) -> None:
    printed = ["report", source, "--format", "table"]
    titles = [section.title for section in example("chain").view().sections if section.long]
    short, long = onnxbound(*printed).stdout, onnxbound(*printed, "-v").stdout
    assert len(titles) >= 4
    assert [title in short.splitlines() for title in titles] == [False] * len(titles)
    assert [title in long.splitlines() for title in titles] == [True] * len(titles)


def test_plots(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    outcome = onnxbound("report", source, "-o", tmp_path / "out.csv", "--plots", folder)
    assert outcome.code == 0
    names = {path.name for path in folder.iterdir()}
    assert {"capacities.svg", "capacities.csv", "layer_cushion.svg", "interlayer_cushion.csv"} <= names
    assert {name.partition(".")[2] for name in names} == {"svg", "png", "pdf", "csv"}
    refused("output-exists", source, "-o", tmp_path / "other.csv", "--plots", folder)
    assert not (tmp_path / "other.csv").exists()
    alone = onnxbound("report", source, "--plots", tmp_path / "alone")
    assert (alone.code, alone.stdout) == (0, "")
    assert {path.name for path in (tmp_path / "alone").iterdir()} == names


def test_every_document_is_read(tmp_path: Path) -> None:
    """tests/report looks at their pages."""
    for name, path in dumped(tmp_path).items():
        markdown = onnxbound("report", path, "--format", "markdown").stdout
        assert markdown.startswith("# "), name
        assert "## Verdict" in markdown
    folder = tmp_path / "certified"
    folder.mkdir()
    (tmp_path / "certificate.json").rename(folder / "certificate.json")
    assert onnxbound("report", folder, "-o", tmp_path / "page.html").code == 0
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_model_card_is_yaml_with_the_bound(source: Path, tmp_path: Path) -> None:
    assert onnxbound("report", source, "--model-card", "-o", tmp_path / "card.md").code == 0
    first, *lines, last = (tmp_path / "card.md").read_text().splitlines()
    assert first == last == "---"
    assert "model-index:" in lines
    assert f"    - type: {json.dumps('train_error')}" in lines
    assert "  error_at_most: null" in lines  # no bound of the example is better than guessing
    path = dumped(tmp_path)["certificate"]
    card = onnxbound("report", path, "--model-card").stdout
    assert f"error_at_most: {json.loads(path.read_text())['bound']}" in card
    assert "delta: 0.05" in card
    assert card.count("drawn independently") == 1
    assert refused("usage", tmp_path / "noise.json", "--model-card").code == 2


def test_without_the_extra_the_error_names_the_install_line(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "_PACKAGES", ("matplotlib_is_not_there",))
    for words in (("-o", tmp_path / "out.html"), ("--format", "table", "--plots", tmp_path / "plots")):
        outcome = refused("usage", source, *words)
        assert "pip install '.[report]'" in outcome.stderr
        assert not (tmp_path / "plots").exists()
    assert onnxbound("report", source, "--format", "table").code == 0


def test_what_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{}")
    assert refused("report-invalid", path, "-o", tmp_path / "out.html").code == 4
    assert refused("report-not-found", tmp_path / "none.json").code == 4
    assert not (tmp_path / "out.html").exists()
