"""What counts as a condition, which numbers it may name, and when it fails."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxbound import Settings, load, open_rows
from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.thresholds import failures, known_names, parse_threshold, require_known
from onnxbound.documents.paths import flatten
from onnxbound.errors import UsageError
from tests.nets import random_mlp
from tests.report.example import example


@pytest.mark.parametrize("text", ["arora>1e6", "  arora  >  1e6 ", "layers.3.layer_cushion.min<=.5", "a != -1.5E-3"])
def test_conditions(text: str) -> None:
    assert parse_threshold(text).text == text


@pytest.mark.parametrize(
    "text", ["", "arora", "arora >", "> 3", "arora > x", "arora => 3", "arora > 1 > 2", "arora > nan", "arora > 1_0"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_threshold(text)
    assert caught.value.code == "usage-gate"
    assert "NAME OP NUMBER" in caught.value.problems[0].why


@pytest.mark.parametrize(
    ("gate", "fails"),
    [
        ("model.depth == 4", True),
        ("model.depth != 4", False),
        ("model.depth > 3", True),
        ("model.depth > 4", False),
        ("model.depth >= 4", True),
        ("model.depth < 4", False),
        ("model.depth <= 4", True),
        ("arora > 0", True),
        ("arora < 0", False),
        ("theorem-2.2 > 0", True),
        ("bounds.arora.value > 0", True),
        ("layers.2.layer_cushion.min < 0", False),
        ("pairs.1-4.jacobian_norm.max > 0", True),
        ("data.test_error > 5", True),
        ("no.such.number > 5", True),
        ("model.path == 0", True),
        ("max(layers.layer_cushion.min) < 1", True),
        ("min(layers.layer_cushion.min) < 0", False),
        ("max(layers.index) > 3", True),
        ("max(layers.index) > 4", False),
        ("min(layers.index) < 1", False),
        ("max(pairs.jacobian_norm.max) > 0", True),
        ("min(per_class.train_error) > 0", False),
        ("max(layers.contraction.min) > 1e9", True),  # the last layer has none
        ("max(layers.no.such) > 0", True),
    ],
)
def test_failures(gate: str, fails: bool) -> None:
    found = failures(example("chain"), [parse_threshold(gate)])
    assert bool(found) == fails
    assert all(text.startswith(gate) for text in found)


def test_failures_say_why() -> None:
    gates = [parse_threshold(text) for text in ("data.test_error > 5", "no.such > 5", "model.depth == 4")]
    null, unknown, holds = failures(example("chain"), gates)
    assert null.endswith("is null")
    assert "there is no number 'no.such'" in unknown
    assert holds.endswith("it is 4")
    (holdout,) = failures(example("chain"), [parse_threshold("holdout > 0.1")])
    assert "holdout is null, no test set was given" in holdout
    (place,) = failures(example("chain"), [parse_threshold("max(layers.index) > 3")])
    assert place == "max(layers.index) > 3: layers.4.index is 4"


def test_a_bound_too_large_for_a_float_is_infinite() -> None:
    from dataclasses import replace

    report = example("chain")
    huge = replace(report.bounds[2], value=None, log10=400.0)
    report = replace(report, bounds=(huge,))
    assert failures(report, [parse_threshold("frobenius > 1e300")])
    assert not failures(report, [parse_threshold("frobenius < 1e300")])


@pytest.mark.parametrize("pairs", ["all", "output"])
def test_the_names_that_are_known_are_those_of_the_report(tmp_path: Path, pairs: Any) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [6, 5, 5, 4]))
    x = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    settings = Settings(pairs=pairs, worst=2)
    report = analyze(network, open_rows((x, np.arange(30) % 4), network), settings)
    known, entries = known_names(network, settings), dict(flatten(report.to_json()))
    numbers = {name for name, value in entries.items() if isinstance(value, int | float)}
    assert not [name for name in numbers if not {name, re.sub(r"\d+$", "#", name)} & known]
    there = {*entries, *(bound.name for bound in report.bounds), *(re.sub(r"\d+$", "#", name) for name in entries)}
    absent = {name for name in known - there if not any(name.startswith(f"{null}.") for null in entries)}
    assert {name.split(".")[2] for name in absent} == {"kernel", "stride"}  # lists of any length, empty here


@pytest.mark.parametrize(
    ("text", "closest"),
    [
        ("layers.3.layer_cushion.min < 1", "layers.2.layer_cushion.min"),
        ("layers.1.layer_cushon.min < 1", "layers.1.layer_cushion.min"),
        ("pairs.2-1.jacobian_norm.max < 1", "pairs.1-2.jacobian_norm.max"),
        ("aurora > 1", "arora"),
        ("max(layers.layer_cushon.min) > 1", "layers.1.layer_cushion.min"),
        ("max(layer.layer_cushion.min) > 1", "layers.1.layer_cushion.min"),
        ("model.path > 1", "model"),
        ("settings.generator > 1", "settings"),
        ("worst.smallest_margin.2.margin > 1", "worst.smallest_margin.1.margin"),
    ],
)
def test_unknown_names(tmp_path: Path, text: str, closest: str) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [6, 5, 4]))
    good = [
        parse_threshold(condition)
        for condition in ("theorem-2.2 > 1", "layers.2.output_shape.0 > 5", "min(pairs.target) < 1")
    ]
    require_known(good, network, Settings(worst=2))
    with pytest.raises(UsageError, match="has no number") as caught:
        require_known([*good, parse_threshold(text)], network, Settings(worst=2))
    assert caught.value.code == "usage-gate"
    (problem,) = caught.value.problems
    assert closest in problem.do
