"""Strings from files do nothing but show themselves: not in a terminal, not as markup, not in a spreadsheet."""

import contextlib
import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxbound.cli.app import run
from tests.cli.command import Outcome, onnxbound, write_rows
from tests.nets import random_mlp

HOSTILE = {
    "terminal": "\x1b]0;owned\x07\x1b[2J\x9b2J\x1b[31mEVIL",
    "markup": "[red]x[/red][/][link=file:///etc]y[/link]",
    "formula": '=HYPERLINK("http://a","b")',
    "text direction": "a\u202egpj.exe",
    "lines": "a\nb\r\nc",
}
VERBS = (
    "inspect", "analyze", "noise", "compare", "track", "rank", "report", "diff", "compress", "decompress", "certify",
    "verify", "env", "explain",
)  # fmt: skip


def model_with(path: Path, names: list[str]) -> Path:
    """A net with a layer, and the gate behind it, for each name; tensors and producer are named alike."""
    model = onnx.load(random_mlp(path, [6] * len(names) + [4]))
    tensors: dict[str, str] = {}
    for position, node in enumerate(model.graph.node):
        name = names[position // 2]
        node.name = f"{name}{position}"
        for tensor in (*node.input, *node.output):
            tensors.setdefault(tensor, f"{name}{tensor}")
        for given in (node.input, node.output):
            given[:] = [tensors[tensor] for tensor in given]
    for value in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        value.name = tensors[value.name]
    model.producer_name = names[0]
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, rows, reports, codes and a certificate, with every hostile string inside and one in their names."""
    path = tmp_path_factory.mktemp("hostile")
    if os.name != "nt":  # where a file may have such a name
        path /= f"{HOSTILE['terminal']}{HOSTILE['lines']}"
        path.mkdir()
    model = model_with(path / "net.onnx", list(HOSTILE.values()))
    model_with(path / "other.onnx", list(reversed(HOSTILE.values())))
    data = write_rows(path / "rows.npz", 60)
    write_rows(path / "test.npz", 40)
    for words in (
        ("analyze", model, "--data", data, "-o", path / "a.json"),
        ("compress", model, "-o", path / "c.onnx", "--method", "matrix-project", "--k", "9", "--codes", path / "codes"),
        ("certify", model, "--holdout", data, "-o", path / "certificate"),
    ):
        found = onnxbound(*words)
        assert found.code == 0, found.stderr
    report = json.loads((path / "a.json").read_text())
    for key in ("path", "producer", "topology", "sha256"):
        report["model"][key] = report["model"].get(key, "") if key == "topology" else HOSTILE["formula"]
    report["layers"][0]["name"], report["layers"][1]["name"] = HOSTILE["markup"], HOSTILE["terminal"]
    report["warnings"] = list(HOSTILE.values())
    (path / "b.json").write_text(json.dumps(report))
    return path


def words(verb: str, folder: Path) -> list[str | Path]:
    model, data = folder / "net.onnx", folder / "rows.npz"
    several: list[str | Path] = [verb, model, folder / "other.onnx", "--data", data]
    commands: dict[str, list[str | Path]] = {
        "inspect": [verb, model],
        "analyze": [verb, model, "--data", data, "--worst", "2"],
        "noise": [verb, model, "--data", data],
        "compare": several,
        "track": [*several, "--test", folder / "test.npz"],
        "rank": [*several, "--test", folder / "test.npz"],
        "report": [verb, folder / "b.json"],
        "diff": [verb, folder / "a.json", folder / "b.json", "-v"],
        "compress": [verb, model, "-o", folder / "d.onnx", "--method", "svd", "--rank", "1", "--force"],
        "decompress": [verb, folder / "codes", "-o", folder / "e.onnx", "--force"],
        "certify": [verb, model, "--holdout", data, "-o", folder / "again", "--force"],
        "verify": [verb, folder / "certificate", "--holdout", data, "--model", model],
        "env": [verb],
        "explain": [verb, "margin"],
    }
    return commands[verb]


def require_harmless(outcome: Outcome) -> None:
    for text in (outcome.stdout, outcome.stderr):
        assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("form", ["table", "csv", "json"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_in_every_format(folder: Path, verb: str, form: str) -> None:
    outcome = onnxbound(*words(verb, folder), "--format", form)
    assert outcome.code == 0, outcome.stderr
    require_harmless(outcome)
    if form == "json" and verb in ("inspect", "analyze"):
        names = [layer["name"] for layer in outcome.json()["layers"]]
        assert all(any(hostile in name for name in names) for hostile in HOSTILE.values())
    if form == "csv":
        rows = list(csv.reader(io.StringIO(outcome.stdout)))
        cells = [cell for row in rows for cell in row if cell]
        assert not [cell for cell in cells if cell[0] in "=+@\t\r"]
        assert not [cell for cell in cells if cell.startswith("-") and not cell[1:2].isdigit()]
        assert {len(row) for row in rows} == {2}
    if form == "table" and verb in ("inspect", "report", "compress"):
        assert "[/red]" in outcome.stdout or "[/link]" in outcome.stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_in_a_terminal(folder: Path, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours are there; of the sequences from files none is."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out, err = Terminal(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run([str(word) for word in (*words(verb, folder), *(["-o", "-"] if verb == "report" else []))]) == 0
    shown = out.getvalue() + err.getvalue()
    assert not [
        sequence for sequence in ("\x1b]", "\x1b[2J", "\x1b[31mEVIL", "\x07", "\x9b", "\u202e") if sequence in shown
    ]
    if verb in ("analyze", "compare", "compress"):
        assert "\x1b[" in out.getvalue()


def test_names_in_an_error(tmp_path: Path) -> None:
    path = model_with(tmp_path / "net.onnx", [HOSTILE["terminal"]] * 2)
    model = onnx.load(path)
    model.graph.node[1].op_type = "Tanh\x1b[2J"
    path.write_bytes(model.SerializeToString())
    for arguments in (["inspect", path], ["inspect", path, "--json"], ["explain", HOSTILE["terminal"]]):
        outcome = onnxbound(*arguments)
        assert outcome.code in (2, 3)
        require_harmless(outcome)


def test_names_of_options_in_a_file_are_left_alone(tmp_path: Path) -> None:
    """Only what the library says is rewritten to options; a layer may be called like a parameter."""
    name = "`seed`"
    model = model_with(tmp_path / "net.onnx", [name, name])
    document = onnxbound("inspect", model, "--json").json()
    assert document["layers"][0]["name"] == f"{name}0"
    rows = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    data = write_rows(tmp_path / "rows.npz", x=rows)
    assert name in onnxbound("analyze", model, "--data", data).stdout
