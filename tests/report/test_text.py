"""Tables and CSV."""

import csv
import io
from dataclasses import replace

import pytest
from rich.console import Console

from onnxbound.documents.paths import flatten
from onnxbound.report.csv import to_csv
from tests.report.example import KINDS, example


def rendered(kind: str, width: int = 100, *, verbose: bool = False) -> str:
    text = io.StringIO()
    example(kind).render(Console(file=text, width=width), verbose=verbose)
    return text.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_tables_fit_and_show_every_layer_and_bound(kind: str, width: int, verbose: bool) -> None:
    lines = rendered(kind, width, verbose=verbose).splitlines()
    text = "\n".join(lines)
    assert max(len(line) for line in lines if not line.startswith("    onnxbound ")) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in text, "a cell was cut off"
    assert "nan" not in text.lower().split()
    for bound in example(kind).bounds:
        assert bound.name in text
    if width >= 100:
        for layer in example(kind).layers:
            assert layer.name in text


def test_vacuous_is_named() -> None:
    assert "(vacuous)" in rendered("chain")


def test_names_from_a_file_cannot_steer_the_terminal() -> None:
    report = example("chain")
    layers = tuple(replace(layer, name="\x1b[31mred\x07 [bold]x[/bold]") for layer in report.layers)
    model = replace(report.model, path="a\x1b]0;title\x07.onnx")
    text = io.StringIO()
    hostile = replace(report, layers=layers, model=model, warnings=("\x1b[2Jgone",))
    hostile.render(Console(file=text, width=100), verbose=True)
    assert "\x1b" not in text.getvalue()
    assert "\x07" not in text.getvalue()
    assert "[bold]x[/bold]" in text.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_csv_holds_every_number_under_its_dotted_name(kind: str) -> None:
    document = example(kind).to_json()
    header, *lines = csv.reader(io.StringIO(to_csv(document)))
    assert header == ["name", "value"]
    names = [name for name, _ in lines]
    assert len(set(names)) == len(names)
    expected = {name: "" if value is None else str(value) for name, value in flatten(document)}
    assert dict(lines) == expected
    assert {"model.depth", "layers.1.frobenius_norm", "bounds.arora.value"} <= set(expected)
