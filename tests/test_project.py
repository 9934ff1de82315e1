"""The project as a whole: what it says of itself is true."""

import re
import subprocess
import tomllib
from itertools import product
from pathlib import Path

import hypothesis
import pytest
from packaging.requirements import Requirement

import onnxbound

ROOT = Path(__file__).parents[1]


def test_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == onnxbound.__version__


def test_ci_runs_the_readmes_test_command() -> None:
    readme = (ROOT / "README.md").read_text()
    (command,) = [line for line in readme.splitlines() if line.strip().endswith("nox")]
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1].strip() == command.strip()


def test_exactly_one_runtime_is_installed_everywhere() -> None:
    """The two distributions of onnxruntime share an import folder: their markers must exclude one another."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(line) for line in project["dependencies"]]
    runtimes = [r for r in requirements if r.name.startswith("onnxruntime")]
    machines = ("x86_64", "AMD64", "arm64", "aarch64")
    for system, machine in product(("linux", "darwin", "win32"), machines):
        place = {"sys_platform": system, "platform_machine": machine}
        chosen = [r.name for r in runtimes if r.marker is not None and r.marker.evaluate(place)]
        has_gpu_wheels = (system, machine) in (("linux", "x86_64"), ("win32", "AMD64"))
        assert chosen == (["onnxruntime-gpu"] if has_gpu_wheels else ["onnxruntime"])


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_files_name_no_absolute_path_of_a_machine() -> None:
    pattern = re.compile(rb"(/home/|/root/|/Users/|C:\\\\Users)")
    offenders = [p for p in tracked() if p.suffix != ".npz" and p != Path(__file__) and pattern.search(p.read_bytes())]
    assert not offenders


def test_source_files_are_small() -> None:
    """A file that has to be scrolled through holds more than one idea; the second verifier has to be one file."""
    limits = {"verify_certificate.py": 1265}
    long = {
        p: n
        for p in tracked()
        if p.suffix == ".py" and (n := len(p.read_text().splitlines())) > limits.get(p.name, 320)
    }
    assert not long


def test_no_test_draws_at_random() -> None:
    """Property tests are seeded by tests/conftest.py, and every generator is by its maker."""
    assert hypothesis.settings.default is not None
    assert hypothesis.settings.default.derandomize
    seeded = "default_rng|Generator|SeedSequence|Philox"
    drawing = rf"default_rng\(\)|^\s*(import|from) (random|secrets|uuid)\b|urandom|np\.random\.(?!{seeded})"
    pattern = re.compile(drawing, re.MULTILINE)
    folders = [ROOT / name for name in ("tests", "fixtures", "fuzz")]
    sources = [path for path in tracked() if path.suffix == ".py" and any(map(path.is_relative_to, folders))]
    assert not [path for path in sources if path != Path(__file__) and pattern.search(path.read_text())]


def test_nothing_is_said_to_be_on_an_index_that_is_not() -> None:
    """A name that is free on the index could be anyone's tomorrow."""
    pattern = re.compile(rb"(install|inject|uv add) +['\"]?onnxbound\b(?!\.)|['\"` ]onnxbound\[")
    texts = [path for path in tracked() if path.suffix not in (".npz", ".onnx", ".png") and path != Path(__file__)]
    assert not [path for path in texts if pattern.search(path.read_bytes())]


def test_changes_have_names_that_the_changelog_takes() -> None:
    kinds = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["fragment"]
    names = [path.name for path in tracked() if path.parent == ROOT / "changes" and path.name != ".gitignore"]
    assert not [name for name in names if not re.fullmatch(rf"\+[\w-]+\.({'|'.join(kinds)})\.md", name)]
