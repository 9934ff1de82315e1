"""A view as one HTML page that needs no network, no script and no other file."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onnxbound.documents.topic import Topic
from onnxbound.errors import visible
from onnxbound.report.extra import require_extra
from onnxbound.report.figures.figure import Figure
from onnxbound.report.topics import topic_of
from onnxbound.report.view import Facts, Table, View
from onnxbound.report.words import shortened
from onnxbound.words import number

_HERE = Path(__file__).parent
_NOTHING = ("", number(None))
"""Cells without a link."""

_NAME = 40
"""Characters of a name in a table."""


def page(view: View) -> str:
    """Write the whole page.

    Raises:
        UsageError: The extra `report` is not installed.
    """
    require_extra()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    made.filters |= {"words": visible, "cell": _cell, "left": _left, "cells": _cells, "heads": _heads, "data": _data}
    made.tests["drawable"] = lambda part: isinstance(part, Figure)
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    topics = tuple(dict.fromkeys(_linked(view)))
    return str(made.get_template("page.html.j2").render(view=view, topics=topics, style=style))


def _linked(view: View) -> Iterator[Topic]:
    """Find the topics that the page links to."""
    for part in (view.about, *(part for section in view.sections for part in section.parts)):
        if isinstance(part, Facts):
            named = list(part.entries)
        elif isinstance(part, Table):
            named = [cell for row in part.rows for cell in _cells(part, row)]
        else:
            continue
        yield from (topic for name, words in named if words not in _NOTHING and (topic := _topic(name)))


def _topic(name: str) -> Topic | None:
    """Find the topic of a head, or of a cell that names a topic; error codes have no place on a page."""
    found = topic_of(name) if len(name) < _NAME else None
    return None if found is None or found.kind == "error" else found


def _cell(words: str, name: str) -> Any:
    """Link words to the definition of what they show, if there is one."""
    from markupsafe import Markup

    topic = _topic(name)
    if topic is None or words in _NOTHING:
        return visible(words)
    return Markup('<a href="#def-{}">{}</a>').format(topic.name, visible(words))


def _cells(table: Table, row: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return each cell with the name of its subject, the column or the cell itself, without drawings of characters."""
    cells = []
    for place, (head, cell) in enumerate(zip(table.head, row, strict=True)):
        words = place < table.left and not cell[:1].isdigit()
        shown = cell.replace("\n", ", ") if " " in cell else shortened(cell, _NAME)
        if place != table.drawn:
            cells.append((cell if words else head, shown))
    return cells


def _heads(table: Table) -> list[str]:
    return [head for place, head in enumerate(table.head) if place != table.drawn]


def _left(table: Table) -> int:
    """Count the columns of words that a page shows."""
    return table.left - (0 <= table.drawn < table.left)


def _data(figure: Figure) -> str:
    """Write a figure as the address of a picture. Inside a picture of its own, no name can do anything."""
    return f"data:image/svg+xml;base64,{base64.b64encode(figure.to('svg')['svg']).decode()}"
