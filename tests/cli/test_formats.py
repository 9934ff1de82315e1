"""The form of a result follows from --format, --json and the name of the file, or is refused."""

import csv
import json
import re
from pathlib import Path

import pytest

from onnxbound.cli.options import Format, chosen_format
from onnxbound.errors import UsageError
from tests.cli.command import failing, onnxbound, write_rows
from tests.nets import random_mlp


@pytest.mark.parametrize(
    ("asked", "name", "chosen"),
    [
        (None, None, Format.TABLE),
        (None, "out", Format.TABLE),
        (None, "out.txt", Format.TABLE),
        (None, "out.json", Format.JSON),
        (None, "OUT.CSV", Format.CSV),
        (None, "out.html", Format.HTML),
        (None, "out.md", Format.MARKDOWN),
        (Format.CSV, "out", Format.CSV),
        (Format.JSON, "out.txt", Format.JSON),
        (Format.JSON, "out.json", Format.JSON),
        (Format.TABLE, None, Format.TABLE),
    ],
)
def test_what_a_name_says(asked: Format | None, name: str | None, chosen: Format) -> None:
    assert chosen_format(asked, as_json=False, output=None if name is None else Path(name), pages=True) is chosen


@pytest.mark.parametrize(
    ("asked", "name", "why"),
    [
        (None, "out.pdf", "not written as .pdf"),
        (Format.JSON, "out.pdf", "not written as .pdf"),
        (None, "out.json.gz", "not written as .gz"),
        (Format.JSON, "out.csv", "--format json is not what -o out.csv says"),
        (Format.TABLE, "out.json", "--format table is not what -o out.json says"),
    ],
)
def test_what_it_does_not(asked: Format | None, name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        chosen_format(asked, as_json=False, output=Path(name))


@pytest.fixture
def words(tmp_path: Path) -> list[str | Path]:
    net, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    return ["analyze", net, "--data", data, "-q"]


def test_each_name_gets_its_form(words: list[str | Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    for name in ("a.json", "a.csv", "a.html", "a.txt"):
        found = onnxbound(*words, "-o", tmp_path / name)
        assert (found.code, found.stdout, found.stderr) == (0, "", "")
    assert json.loads((tmp_path / "a.json").read_text())["schema"] == "onnxbound.report/1"
    assert next(csv.reader((tmp_path / "a.csv").read_text().splitlines())) == ["name", "value"]
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "Bounds on the error" in (tmp_path / "a.txt").read_text()
    again = onnxbound("report", tmp_path / "a.json")
    assert again.stdout.startswith("<!DOCTYPE html>")
    shown = [onnxbound("report", tmp_path / "a.json", "--format", "table").stdout, (tmp_path / "a.txt").read_text()]
    assert len({re.sub(r"[\d.]+ s,", "s,", text) for text in shown}) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze", "net.onnx", "--data", "rows.npz", "-o", "x.pdf"],
        ["analyze", "net.onnx", "--data", "rows.npz", "--dry-run", "-o", "x.svg"],
        ["report", "report.json", "-o", "x.pdf"],
        ["inspect", "net.onnx", "-o", "x.html"],
        ["certify", "net.onnx", "--data", "rows.npz", "-o", "x", "--format", "html"],
        ["diff", "a.json", "b.json", "--format", "html"],
        ["env", "-o", "x.png"],
        ["explain", "-o", "x.md"],
    ],
    ids=" ".join,
)
def test_nothing_else_is_written_under_a_name(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before any file is looked at: there is none."""
    monkeypatch.chdir(tmp_path)
    error = failing(*arguments)
    assert (error["exit_code"], error["code"]) == (2, "usage")
    assert not list(tmp_path.iterdir())


def test_a_plan_has_no_page(words: list[str | Path], tmp_path: Path) -> None:
    assert failing(*words, "--dry-run", "-o", tmp_path / "x.html")["code"] == "usage"
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("verb", [["env"], ["explain"], ["explain", "arora"], ["explain", "onnxbound.report/1"]])
def test_every_verb_writes_files(verb: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert onnxbound(*verb, "-o", out).code == 0
    assert isinstance(json.loads(out.read_text()), dict)
    assert failing(*verb, "-o", out)["code"] == "output-exists"
    assert onnxbound(*verb, "-o", out, "--force").code == 0
