"""The page: complete, self-contained, and nothing in it but what onnxbound wrote."""

from collections import Counter
from html.parser import HTMLParser

import pytest

from onnxbound.analysis.result import Report
from onnxbound.report.html.page import page
from onnxbound.report.topics import TOPICS
from tests.report.example import KINDS, example
from tests.report.hostile import hostile


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def check(report: Report) -> Seen:
    seen = Seen(page(report))
    active = {"script", "iframe", "object", "embed", "img", "link", "base", "form", "foreignobject", "use", "animate"}
    assert not active & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "srcdoc", "style")]
    links = [value for name, value in seen.attributes if "href" in name]
    ids = Counter(value for name, value in seen.attributes if name == "id")
    assert set(ids.values()) == {1}
    assert {link.removeprefix("#") for link in links} <= set(ids)
    numbers = " ".join(seen.text).rsplit("Definitions", 1)[0]
    assert "nan" not in numbers.lower().split()
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_makes_a_page(kind: str) -> None:
    report = example(kind)
    seen = check(report)
    text = " ".join(seen.text)
    for bound in report.bounds:
        assert bound.name in text
        assert bound.met_reason in text or bound.kind == "as_plotted"
    for warning in report.warnings:
        assert warning in text
    for topic in TOPICS.values():
        assert (topic.kind == "error") != (topic.text in text)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_are_text(kind: str) -> None:
    """The page of a hostile report has the tags of the page of the same report with its own names, warnings aside."""
    seen = check(hostile(kind))
    assert "<script>alert(1)</script>" in " ".join(seen.text)
    tame = check(example(kind))
    differing = {tag for tag in seen.tags | tame.tags if seen.tags[tag] != tame.tags[tag]}
    assert differing <= {"section", "h2", "ul", "li", "dt", "dd"}


def test_warnings_come_first() -> None:
    text = page(example("residual"))
    assert text.index("Before you read the numbers") < text.index("In plain words") < text.index("<svg")


def test_numbers_lead_to_their_definitions() -> None:
    report = example("chain")
    seen = Seen(page(report))
    linked = Counter(value for name, value in seen.attributes if name == "href")
    assert linked["#def-layer_cushion"] >= report.model.depth
    assert linked["#def-theorem-2.2"] >= 2
