"""Everything that a report or an error names can be explained, and nothing else is."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

import onnxbound
from onnxbound.certificates.statement import OBJECTS
from onnxbound.cli.compress import METHODS
from onnxbound.report.topics import TOPICS, WORDS, closest, topic_of
from onnxbound.stability.catalogue import CATALOGUE
from tests.report.example import example


def test_every_property_bound_and_code_has_its_topic() -> None:
    statistics = {prop.topic.name for prop in CATALOGUE}
    assert len(statistics) >= 9
    assert statistics <= {topic.name for topic in TOPICS.values() if topic.kind == "metric"}
    bounds = {bound.name for bound in example("chain").bounds} - set(OBJECTS)
    bounds |= {"build-and-look", "build-and-look-binomial", "corollary-a.1"}
    assert bounds == {topic.name for topic in TOPICS.values() if topic.kind == "bound"}
    assert set(METHODS) == {topic.name for topic in TOPICS.values() if topic.kind == "method"}
    assert set(OBJECTS) == {topic.name for topic in TOPICS.values() if topic.kind == "certificate"}
    raised = set(re.findall(r'Error\(\s*"([a-z]+(?:-[a-z]+)*)"', sources()))
    assert len(raised) > 40
    assert raised <= {topic.name for topic in TOPICS.values() if topic.kind == "error"}


def sources() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in Path(onnxbound.__file__).parent.rglob("*.py"))


def test_metrics_and_bounds_say_what_they_rest_on() -> None:
    for topic in TOPICS.values():
        assert topic.text
        if topic.kind != "error":
            assert topic.formula, topic.name
            assert topic.source, topic.name
        if topic.kind in ("bound", "certificate"):
            assert topic.assumptions, topic.name


def test_a_misspelling_is_close() -> None:
    assert closest("layer_cushon")[0] == "layer_cushion"
    assert closest("qqqqqqqq") == []


def test_heads_of_printed_columns_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: set[str] = set()
    add_column = Table.add_column

    def noted(table: Table, head: Any = "", **how: Any) -> None:
        heads.add(str(head))
        add_column(table, head, **how)

    monkeypatch.setattr(Table, "add_column", noted)
    for kind in ("chain", "residual"):
        example(kind).render(Console(file=io.StringIO()), verbose=True)
    evident = (
        "",
        "pair",
        "layer",
        "at layer",
        "source",
        "property",
        "distribution",
        "smallest",
        "largest",
        "median",
        "class",
    )
    assert len(heads) > 30
    assert not [head for head in heads.difference(evident) if topic_of(head) is None]


def test_words_lead_to_topics() -> None:
    for word, name in WORDS.items():
        topic = topic_of(word)
        assert topic is not None
        assert topic.name == name, word
        assert word not in TOPICS
