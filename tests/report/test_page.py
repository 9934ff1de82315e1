"""The page: complete, self-contained, and nothing in it but what onnxbound wrote."""

import base64
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the extra report is not installed")
pytest.importorskip("jinja2", reason="the extra report is not installed")

from onnxbound.documents.viewed import Viewed
from onnxbound.report import page
from tests.report.documents import documents
from tests.report.example import example
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


def check(document: Viewed) -> Seen:
    seen = Seen(document.to_html())
    active = {"script", "iframe", "object", "embed", "link", "base", "form", "foreignobject", "use", "animate", "svg"}
    assert not active & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("srcdoc", "style")]
    pictures = [value for name, value in seen.attributes if name == "src"]
    assert all(picture.startswith("data:image/svg+xml;base64,") for picture in pictures)
    assert len(pictures) == seen.tags["img"] == len(document.figures())
    assert len([value for name, value in seen.attributes if name == "alt" and value]) == len(pictures)
    links = [value for name, value in seen.attributes if "href" in name]
    ids = Counter(value for name, value in seen.attributes if name == "id")
    assert set(ids.values()) <= {1}
    assert {link.removeprefix("#") for link in links} == set(ids)
    styles = Path(page.__file__).with_name("style.css").read_text(encoding="utf-8")
    assert all(f".{value} " in styles for name, value in seen.attributes if re.fullmatch(r"l\d", value))
    numbers = seen.text[: seen.text.index("Definitions")] if "Definitions" in seen.text else seen.text
    assert "nan" not in " ".join(numbers).lower().split()
    return seen


@pytest.mark.parametrize("kind", ["chain", "parallel", "dead"])
def test_every_report_makes_a_page(kind: str) -> None:
    report = example(kind)
    text = " ".join(check(report).text)
    for bound in report.bounds:
        assert bound.name in text
        assert bound.met_reason in text or bound.kind == "as_plotted"
    for warning in report.warnings:
        assert warning[1:] in text


@pytest.mark.parametrize("name", ["inspect", "noise", "compare", "rank", "track", "compress", "certificate"])
def test_every_document_makes_a_page_and_markdown(name: str) -> None:
    document = documents()[name]
    text = " ".join(check(document).text)
    assert document.view().verdict
    assert all(sentence in text for sentence in document.view().verdict)
    lines = document.to_markdown().splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert tables or name == "certificate"
    assert all(len(re.findall(r"(?<!\\)\|", line)) >= 3 for line in tables)
    assert "></a>" not in document.to_html(), "a link without words"


def test_the_style_sheet_is_not_escaped() -> None:
    style = (Path(page.__file__).parent / "style.css").read_text(encoding="utf-8")
    assert f"<style>{style}</style>" in example("chain").to_html()


def test_hostile_names_are_text() -> None:
    """The page of a hostile report has the tags of the page of the same report with its own names, lists aside."""
    seen, tame = check(hostile("residual")), check(example("residual"))
    assert "<script>alert(1)</script>" in " ".join(seen.text)
    differing = {tag for tag in seen.tags | tame.tags if seen.tags[tag] != tame.tags[tag]}
    assert differing <= {"section", "h2", "ul", "li", "dt", "dd"}
    for _, picture in (pair for pair in seen.attributes if pair[0] == "src"):
        assert b"<script" not in base64.b64decode(picture.partition(",")[2])
    markdown = hostile("residual").to_markdown()
    assert "<script>" not in markdown.replace("\\<script", "")
    assert "\x1b" not in markdown


def test_the_verdict_comes_first_and_caveats_after_the_numbers() -> None:
    text = example("residual").to_html()
    places = [text.index(f"<h2>{title}") for title in ("Verdict", "Layers", "Before you rely on it", "Definitions")]
    assert places == sorted(places)


def test_numbers_lead_to_their_definitions() -> None:
    report = example("chain")
    linked = Counter(value for name, value in Seen(report.to_html()).attributes if name == "href")
    assert linked["#def-layer_cushion"] >= report.model.depth
    assert linked["#def-theorem-2.2"] >= 1
