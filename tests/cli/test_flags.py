"""The library names parameters, the command line options: in errors, in warnings, in every document."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import onnxbound as package
from onnxbound.cli.app import app
from onnxbound.cli.flags import FLAGS, changed, in_flags
from onnxbound.errors import Problem
from tests.cli.command import failing, onnxbound, write_rows
from tests.nets import random_mlp

ROOT = Path(package.__file__).parent
TO_COME = (
    "certificates/outlook.py", "data/conventions.py",
)  # fmt: skip
"""Where messages still name options, or say a whole command."""
PYTHON_ONLY = {"table", "networks"}
"""Parameters of `to_dataframe`, and what is an argument on the command line."""

_FLAG = re.compile(r"(?<![\w-])--[a-z]")
_NAMED = re.compile(r"`([^`]*)`")


def sources() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if not path.is_relative_to(ROOT / "cli"))


def strings(path: Path, *, docstrings: bool) -> Iterator[str]:
    """Every string of a file; an f-string with its values left out."""
    tree = ast.parse(path.read_text())
    said = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
        elif isinstance(node, ast.Constant) and node not in inside and (docstrings or node not in said):
            yield node.value if isinstance(node.value, str) else ""


def to_come(path: Path) -> bool:
    return any(path.is_relative_to(ROOT / part) for part in TO_COME)


def test_the_library_names_no_option() -> None:
    texts = [(path, text) for path in sources() if not to_come(path) for text in strings(path, docstrings=True)]
    texts += [(path, path.read_text()) for path in ROOT.rglob("*.toml")]
    assert len(texts) > 1000
    found = [(path.name, text) for path, text in texts if _FLAG.search(text.replace("`onnxbound --version`", ""))]
    assert not found


def parameters() -> set[str]:
    """Every parameter of every public function and class, and every field of a dataclass."""
    found: set[str] = set()
    for path in sources():
        if path.name == "__main__.py":
            continue
        module = import_module(".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"))
        for name, value in vars(module).items():
            if name.startswith("_") or not (inspect.isfunction(value) or inspect.isclass(value)):
                continue
            members = (
                [value, *(m for m in vars(value).values() if inspect.isfunction(m))]
                if inspect.isclass(value)
                else [value]
            )
            for member in members:
                try:
                    found |= set(inspect.signature(member).parameters)
                except ValueError:
                    continue
            if is_dataclass(value):
                found |= {field.name for field in fields(value)}
    return found


def test_what_stands_in_backticks_is_a_parameter_with_an_option() -> None:
    known = parameters() | {*package.__all__, "Report.save"}
    named = {
        match.partition("=")[0].partition("[")[0]
        for path in sources()
        if not to_come(path)
        for text in strings(path, docstrings=False)
        for match in _NAMED.findall(text)
    } - {"..."}
    assert len(named) > 20
    assert named <= known
    assert named - PYTHON_ONLY <= FLAGS.keys()


def test_every_option_in_the_table_exists() -> None:
    options = {
        name
        for verb in typer.main.get_command(app).commands.values()
        for p in verb.params
        for name in p.opts  # type: ignore[attr-defined]
    }
    flags = {word for flag in FLAGS.values() for word in re.findall(r"--[\w-]+", flag)}
    assert flags - {"--conventions"} <= options


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ('the file has its channels last: `layout="nhwc"`', "the file has its channels last: --layout nhwc"),
        ('`probes="exact"` measures them', "--probes exact measures them"),
        ("`mean=(0.5, 0.25)` and `force=True`", "--mean 0.5,0.25 and --force"),
        ("`run=/a b/c` with `resume=True`", "--run /a b/c with --resume"),
        ("leave `layout` out; `scale=None`", "leave --layout out; no --scale"),
        ("a layer called `conv1`, or `conv1=2`", "a layer called `conv1`, or `conv1=2`"),
        ("limit, `Limit`, `limits`, `limit", "limit, `Limit`, `limits`, `limit"),
    ],
)
def test_only_exact_names_are_rewritten(said: str, shown: str) -> None:
    assert in_flags(said) == shown


def test_a_document_changes_where_the_library_speaks() -> None:
    problem = Problem("a", "`limit`", "b")
    assert changed(problem, in_flags, {"why"}) == Problem("a", "--limit", "b")
    assert changed(problem, in_flags, {"where"}) == problem
    assert changed({"x": ("`limit`", 1, None)}, in_flags) == {"x": ("--limit", 1, None)}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(entry)


@pytest.mark.parametrize("form", ["json", "csv", "table", "html"])
def test_printed_and_written_reports_name_options(tmp_path: Path, form: str) -> None:
    net, data = random_mlp(tmp_path / "net.onnx", [6, 5, 5, 4]), write_rows(tmp_path / "rows.npz")
    words = ("analyze", net, "--data", data, "--pairs", "output", "--format", form)
    found = onnxbound(*words)
    assert found.code == 0
    assert "they need --pairs all" in " ".join(found.stdout.split())
    assert not _NAMED.search(found.stdout + found.stderr)
    if form == "json":
        assert any("certify with --holdout" in text for text in texts(found.json())) is False
        bounds = {bound["name"]: bound for bound in found.json()["bounds"]}
        assert "--" in bounds["holdout"]["met_reason"]
        assert "they need --pairs all" in found.stderr


def test_errors_name_options() -> None:
    for arguments, said in (
        (("--probes", "many"), '--probes must be "auto", "exact" or a whole number of at least 1'),
        (("--form", "lineal"), '"linear" is closest'),
        (
            ("--noise", "compression", "--pairs", "output"),
            "--noise compression goes with --form affine and --pairs all",
        ),
        (("--worst", "-1"), "--worst must be at least 0"),
    ):
        error = failing("analyze", "net.onnx", "--data", "rows.npz", *arguments)
        assert (error["exit_code"], error["code"]) == (2, "usage")
        assert said in error["message"]


def test_explanations_name_options() -> None:
    assert "--noise compression" in " ".join(onnxbound("explain", "theorem-4.1").stdout.split())
    assert "--external-root" not in onnxbound("explain", "model-inputs").stdout
    assert "--fix sets inputs to constants" in onnxbound("explain", "model-inputs", "--json").json()["text"]
