"""Strings from a model do nothing but show themselves: not in a terminal, not as markup, not in a spreadsheet."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.command import onnxbound, write_rows
from tests.nets import random_mlp

HOSTILE = {
    "terminal": "\x1b]0;owned\x07\x1b[2J\x9b2Jx",
    "markup": "[red]x[/red][/][link=file:///etc]y[/link]",
    "formula": '=HYPERLINK("http://a","b")',
    "text direction": "a\u202egpj.exe",
    "lines": "a\nb\r\nc",
}


def model_with(path: Path, name: str) -> Path:
    model = onnx.load(random_mlp(path, [6, 5, 4]))
    for position, node in enumerate(model.graph.node):
        node.name = f"{name}{position}"
        for names in (node.input, node.output):
            names[:] = [f"{name}{tensor}" for tensor in names]
    for value in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        value.name = f"{name}{value.name}"
    model.producer_name = name
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("form", ["table", "csv", "json"])
@pytest.mark.parametrize("verb", ["inspect", "analyze"])
def test_names_in_a_model(tmp_path: Path, case: str, form: str, verb: str) -> None:
    model = model_with(tmp_path / "net.onnx", HOSTILE[case])
    arguments = [verb, model, "--format", form]
    if verb == "analyze":
        rows = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
        arguments += ["--data", write_rows(tmp_path / "rows.npz", x=rows)]
    outcome = onnxbound(*arguments)
    assert outcome.code == 0, outcome.stderr
    shown = outcome.stdout + outcome.stderr
    assert all(character.isprintable() or character == "\n" for character in shown)
    if form == "json":
        assert any(HOSTILE[case] in layer["name"] for layer in json.loads(outcome.stdout)["layers"])
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(outcome.stdout)) for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=+@\t" and cell]
        assert not [cell for cell in cells if cell.startswith("-") and not cell[1:2].isdigit()]
    if case == "markup" and form == "table":
        assert "[/red]" in shown or "[/link]" in shown


def test_names_in_an_error(tmp_path: Path) -> None:
    path = model_with(tmp_path / "net.onnx", HOSTILE["terminal"])
    model = onnx.load(path)
    model.graph.node[1].op_type = "Tanh\x1b[2J"
    path.write_bytes(model.SerializeToString())
    for arguments in (["inspect", path], ["inspect", path, "--json"]):
        outcome = onnxbound(*arguments)
        assert outcome.code == 3
        assert all(character.isprintable() or character == "\n" for character in outcome.stdout + outcome.stderr)
