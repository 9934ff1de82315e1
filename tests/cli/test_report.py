"""report: a page, CSV and figures from the JSON of an analysis."""

import contextlib
import csv
import io
import json
import struct
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from onnxbound.cli.app import run
from onnxbound.cli.flags import in_flags
from onnxbound.report.csv import to_csv
from tests.cli.command import Outcome, failing, onnxbound
from tests.cli.test_hostile_strings import Terminal
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
    assert (terminal.getvalue(), "-o page.html writes it" in err.getvalue()) == ("", True)
    with contextlib.redirect_stdout(terminal):
        assert run(["report", str(source), "--format", "csv"]) == 0
    assert terminal.getvalue().startswith("name,value")


def test_json_names_what_was_written(source: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "out.html", tmp_path / "plots"
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


def test_plots(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    outcome = onnxbound("report", source, "-o", tmp_path / "out.html", "--plots", folder)
    assert outcome.code == 0
    names = {path.name for path in folder.iterdir()}
    assert {"capacities.svg", "capacities.csv", "layer_cushion.svg", "interlayer_cushion.csv"} <= names
    assert any(name.endswith(".png") for name in names) != ("no PNG was written" in outcome.stderr)
    refused("output-exists", source, "-o", tmp_path / "other.html", "--plots", folder)
    assert not (tmp_path / "other.html").exists()
    assert onnxbound("report", source, "-o", tmp_path / "other.html", "--plots", folder, "--force").code == 0


def test_png_is_the_drawing_three_times_as_large(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py", reason="the extra png is not installed")
    assert onnxbound("report", source, "-o", tmp_path / "out.html", "--plots", tmp_path / "plots").code == 0
    drawing = ET.parse(tmp_path / "plots" / "bounds.svg").getroot()
    header = (tmp_path / "plots" / "bounds.png").read_bytes()[:24]
    size = struct.unpack(">II", header[16:])
    assert size == pytest.approx([3 * float(drawing.attrib[name]) for name in ("width", "height")], abs=3)


def test_what_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{}")
    assert refused("report-invalid", path, "-o", tmp_path / "out.html").code == 4
    assert refused("report-not-found", tmp_path / "none.json").code == 4
    assert not (tmp_path / "out.html").exists()
