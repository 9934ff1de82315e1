"""What docs/threat-model.md claims, as far as a test can hold it; sockets and files on the way are traced elsewhere."""

import re
import tomllib
from pathlib import Path

import pytest
import typer

from onnxbound.cli.app import app
from onnxbound.data import hdf5, image
from onnxbound.data.open import open_rows
from onnxbound.documents.files import TEMPORARY
from onnxbound.errors import OnnxboundError
from onnxbound.graph import model_file
from onnxbound.graph.load import load
from onnxbound.report.topics import TOPICS
from onnxbound.run import scratch
from tests.nets import random_mlp

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
WRITING = {"--output", "--samples", "--plots", "--run", "--save-conventions", "--codes"}


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_it_is_one_page_and_linked() -> None:
    assert len(PAGE.splitlines()) <= 80
    assert all(f"({name})" in (ROOT / "README.md").read_text() for name in ("docs/threat-model.md", "SECURITY.md"))
    assert "(../SECURITY.md)" in PAGE
    assert "(docs/threat-model.md)" in (ROOT / "SECURITY.md").read_text()


def test_every_extra_has_a_row_with_its_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    rows = {cells[0].strip("`"): cells[2].lower() for cells in rows_of("What optional packages cost")}
    assert rows.keys() == extras.keys()
    packages = {
        "hdf5": "h5py",
        "parquet": "pyarrow",
        "images": "pillow",
        "distributed": "dask",
        "report": "matplotlib, jinja",
        "cuda": "cuda",
    }
    assert all(packages[name] in by for name, by in rows.items())


@pytest.mark.parametrize("suffix, name", [("h5", "hdf5"), ("parquet", "parquet"), ("arrow", "parquet")])
def test_a_format_is_read_by_the_package_that_the_page_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, name: str
) -> None:
    (cells,) = [cells for cells in rows_of("What optional packages cost") if cells[0] == f"`{name}`"]
    assert f"`.{suffix}`" in cells[1]
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(b"x")
    package = cells[2].split(",")[0]
    for module in (package, f"{package}.parquet"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(OnnxboundError) as caught:
        open_rows(path, load(random_mlp(tmp_path / "net.onnx", [6, 5, 4])))
    assert (caught.value.code, package in caught.value.problems[0].why) == ("data-extra", True)


def test_formats_filters_and_limits_are_those_of_the_program() -> None:
    assert ", ".join(image._FORMATS) in PAGE
    assert {*range(1, 7), 32000} == hdf5._BUILT_IN
    assert f"weights above {model_file._COPIED >> 20} MiB" in PAGE
    assert f"`{TEMPORARY}*`" in PAGE
    assert scratch._PREFIX.startswith("onnxbound-")
    assert set(re.findall(r"\(`([a-z][a-z-]+)`\)", PAGE)) <= TOPICS.keys()


def test_what_each_command_writes_are_the_options_that_it_has() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    said = {
        verb: set(re.findall(r"`(--[a-z-]+)`", cells[1]))
        for cells in rows_of("What is written")
        for verb in re.findall(r"`([a-z]+)`", cells[0])
    }
    has = {
        verb: {name for param in command.params for name in param.opts} & WRITING for verb, command in commands.items()
    }
    assert said == has


def test_the_workflow_takes_its_actions_by_hash() -> None:
    (workflow,) = ROOT.glob("examples/*.yml")
    used = re.findall(r"uses: (\S+)", workflow.read_text())
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)
    assert "permissions:\n  contents: read\n" in workflow.read_text()
