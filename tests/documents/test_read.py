"""Reports come back from their JSON as they were, and what is no report is refused by place."""

import json
from pathlib import Path
from typing import Any

import pytest

from onnxbound.analysis.result import read_report
from onnxbound.errors import DataError
from tests.report.example import KINDS, example


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_read(kind: str, tmp_path: Path) -> None:
    document = example(kind).to_json()
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document))
    assert read_report(path).to_json() == document


def test_keys_of_later_versions_are_left_aside(tmp_path: Path) -> None:
    document = example("chain").to_json()
    document["later"] = document["layers"][0]["later"] = 1
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document))
    assert read_report(path).to_json() == example("chain").to_json()


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_report(path)
    return caught.value


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("data", "rows"), "many", 'data.rows is "many", not a whole number'),
        (("data", "rows"), True, "data.rows is true, not a whole number"),
        (("margin", "min"), 10**400, "int too large"),
        (("data", "rows"), 10**400, "data.rows is 1000"),
        (
            ("layers", 0, "layer_cushion", "histogram", "counts"),
            [1, 2],
            "layers[0].layer_cushion.histogram: a histogram has",
        ),
        (("layers", 0, "layer_cushion", "histogram"), {"edges": [1, 0], "counts": [1]}, "rising edges"),
        (("layers", 0, "layer_cushion", "histogram"), {"edges": [0, 1], "counts": [-1]}, "not negative"),
        (("margin", "min"), float("nan"), "margin.min is NaN, not a number"),
        (("layers", 0, "layer_cushion", "kind"), "guessed", 'layers[0].layer_cushion.kind is "guessed", not measured'),
        (("model", "topology"), None, "model.topology is null, not chain or graph"),
        (("bounds",), {}, "bounds is {}, not a list"),
        (("model", "depth"), 10**15, "a report lists its layers from 1 to the depth"),
        (("layers", 1, "index"), 1, "a report lists its layers from 1 to the depth"),
        (("pairs", 0, "target"), 10**15, "a pair goes from a layer to a later one"),
        (("pairs", 0, "source"), 0, "a pair goes from a layer to a later one"),
        (("schema",), "onnxbound.report/2", "its schema is 'onnxbound.report/2', not 'onnxbound.report/1'"),
        (("schema",), None, "it has no key 'schema'"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(place: tuple[Any, ...], value: Any, why: str, tmp_path: Path) -> None:
    document: Any = example("chain").to_json()
    parent = document
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = value
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document))
    error = refused(path)
    assert error.code == "report-invalid"
    assert why in error.problems[0].why


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    document = example("chain").to_json()
    del document["layers"][1]["beta"]
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document))
    assert refused(path).problems[0].why == "layers[1].beta is missing"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', "[" * 100_000, "\xff"])
def test_what_is_not_a_report_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1"))
    assert refused(path).code == "report-invalid"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.json").code == "report-not-found"
    assert refused(tmp_path).code == "report-not-found"
