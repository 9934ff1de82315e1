"""What the documentation says works, word for word; only the search of `certify` is cut short."""

import os
import re
import shlex
import subprocess
import tomllib
import venv
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import noxfile
import onnxbound as onnxbound_package
from docs.commands import PAGES, ROOT, commands
from docs.generate import HERE, pages
from onnxbound.cli.app import app
from tests.cli.command import onnxbound

FIXTURES = ROOT / "fixtures"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader stands: the clone's fixtures, and nets of their own with their rows, as in training."""
    (tmp_path / "fixtures").symlink_to(FIXTURES, target_is_directory=True)
    for name in ("model.onnx", "other.onnx"):
        (tmp_path / name).write_bytes((FIXTURES / "mnist_mlp.onnx").read_bytes())
    with np.load(FIXTURES / "data" / "mnist.npz") as rows:
        for part in ("train", "test"):
            x = rows[f"x_{part}"][:200].astype(np.float32) / 255
            np.savez(tmp_path / f"{part}.npz", x=x, y=rows[f"y_{part}"][:200])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_runs_in_the_order_of_the_page(page: Path, folder: Path) -> None:
    if {"report", "--plots"} & {word for words in commands(page) for word in words}:
        pytest.importorskip("matplotlib", reason="the extra report is not installed")
    for words in commands(page):
        short = ["--effort", "1"] if words[0] == "certify" and "--help" not in words else []
        outcome = onnxbound(*words, *short)
        gated = {"--fail-if", "--exit-code", "--test"} & set(words)  # 200 rows guarantee little
        assert outcome.code in ((0, 1) if gated else (0,)), (words, outcome.stderr)


def test_there_are_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 20
    used = {words[0] for page in PAGES for words in commands(page)}
    assert {"inspect", "analyze", "report", "diff", "noise", "compare", "track", "rank", "explain"} <= used


def test_the_readmes_first_command_is_the_one_that_a_clean_install_runs() -> None:
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if ".venv/bin/onnxbound" in line]
    assert tuple(shlex.split(line.split(".venv/bin/onnxbound")[1])) == noxfile.ANALYZE_EXAMPLE


def test_the_readmes_sample_is_what_its_first_command_prints() -> None:
    """Word for word but for the line of the run, numbers to what another processor changes of three digits."""
    section = (ROOT / "README.md").read_text().partition("The first command prints:")[2].partition("\n* ")[0]
    shown = [line.split() for line in re.sub("^ {4}", "", section, flags=re.MULTILINE).strip().splitlines()]
    printed = [line.split() for line in onnxbound(*noxfile.ANALYZE_EXAMPLE).stdout.strip().splitlines()]
    assert [line[:1] for line in shown] == [line[:1] for line in printed]
    for line, real in zip(shown, printed, strict=True):
        if line[:1] != ["run"]:
            assert [as_number(word) for word in line] == [
                pytest.approx(value, rel=0.02) if isinstance(value := as_number(word), float) else value
                for word in real
            ]


def as_number(word: str) -> float | str:
    """What is printed as a number."""
    plain = word.strip("%,;≈").replace(",", "") if word.count(".") < 2 else ""  # means are no single number
    return float(plain) if re.fullmatch(r"\d[\d.]*(e[+-]\d+)?", plain) else word


@pytest.mark.skipif(os.name == "nt", reason="the README is for POSIX shells")
def test_the_readmes_commands_find_what_its_first_one_installs(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## Install and run")[2].partition("\n## ")[0]
    first, *later = re.findall(r"^ {4}(.*)$", section, re.MULTILINE)
    assert first.startswith("python3.11 -m venv .venv && .venv/bin/pip install '.[report]' && ")
    venv.create(tmp_path / ".venv", symlinks=True)
    command = tmp_path / ".venv" / "bin" / "onnxbound"
    command.write_text('#!/bin/sh\necho "$1" >> verbs\n')
    command.chmod(0o755)
    lines = "\n".join(["set -e", *(line for line in later if "nox" not in line)])
    subprocess.run(["bash", "-c", lines], cwd=tmp_path, env={"PATH": os.defpath}, check=True)
    assert (tmp_path / "verbs").read_text().split() == ["analyze", "report"]


def test_the_readmes_python_runs_in_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fixtures").symlink_to(FIXTURES, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})


def test_a_compressed_file_is_loaded_as_the_guide_says(folder: Path) -> None:
    page = (HERE / "guides" / "compress.md").read_text()
    words = ("--data", "train.npz", "--method", "int8-weights")
    assert onnxbound("compress", "model.onnx", "-o", "small.onnx", *words).code == 0
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {"onnxruntime": onnxruntime}
    exec(compile(code, "compress.md", "exec"), names)
    x = np.load("test.npz")["x"][:, None]
    before = onnxruntime.InferenceSession("model.onnx").run(None, {"x": x})[0]
    np.testing.assert_allclose(names["session"].run(None, {"x": x})[0], before, atol=0.02 * np.abs(before).max())


def test_the_guides_python_and_toml_are_read(folder: Path) -> None:
    page = (HERE / "guides" / "own-net.md").read_text()
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (folder / "model.toml").write_text(toml)
    how = onnxbound_package.read_conventions("model.toml").preprocessing
    assert (how.scale, how.layout, len(how.std)) == (1 / 255, "nhwc", 3)
    (folder / "model.toml").write_text("labels_start = 0\n")
    with np.load("train.npz") as rows:
        names = {"onnxbound": onnxbound_package, **rows}
    exec(compile("".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), "own-net.md", "exec"), names)
    assert names["rows"].labels_start == 0


@pytest.mark.parametrize("name", pages())
def test_generated_pages_are_those_of_the_program(name: str) -> None:
    assert (HERE / name).read_text(encoding="utf-8") == pages()[name], "run: python -m docs.generate"


def test_links_lead_somewhere() -> None:
    every = [
        ROOT / "README.md",
        ROOT / "examples/README.md",
        ROOT / "reproduce/README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
    for page in every:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), (page, target)


def test_the_page_of_the_architecture_lists_the_folders_in_their_order() -> None:
    listed = re.findall(r"^\| `(\w+)/` \|", (HERE / "architecture.md").read_text(), re.MULTILINE)
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    folders = [name for name in listed_of(contract["layers"]) if (ROOT / "onnxbound" / name).is_dir()]
    assert listed == folders[::-1]


def listed_of(layers: list[str]) -> list[str]:
    return [name.strip().removeprefix("onnxbound.") for layer in layers for name in layer.split(":")]


def test_every_command_has_a_name_in_the_reference() -> None:
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    text = (HERE / "cli.md").read_text(encoding="utf-8")
    assert all(f"## {name}\n" in text for name in names)
