"""A view as Markdown, to paste into an issue or a paper's appendix."""

import re
from collections.abc import Iterable, Iterator, Sequence

from onnxbound.errors import visible
from onnxbound.report.view import Facts, Section, Table, View


def to_markdown(view: View) -> str:
    """Write verdict, caveats, and every table that a terminal shows too."""
    return "\n".join(_lines(view)) + "\n"


def _lines(view: View) -> Iterator[str]:
    yield from (f"# {_literal(view.title)}", "")
    yield from _facts(view.about)
    yield from _listed("Verdict", map(_literal, view.verdict))
    yield from _listed("What next", (f"{_literal(why)}: {_code(command)}" for why, command in view.next_steps))
    for section in view.sections:
        if not section.long:
            yield from _section(section)
    yield from _listed("Before you rely on it", map(_literal, view.caveats))


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {section.title}", "")
    for part in section.parts:
        if isinstance(part, Table):
            yield from _table(part)
        elif isinstance(part, Facts):
            yield from _facts(part)
        elif isinstance(part, str):
            yield from (_literal(part), "")


def _facts(facts: Facts) -> Iterator[str]:
    yield from (f"* {_literal(name)}: {_literal(value)}" for name, value in facts.entries)
    yield ""


def _table(table: Table) -> Iterator[str]:
    kept = [place for place in range(len(table.head)) if place != table.drawn]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells[place] for place in kept)} |"

    yield line([_literal(name) for name in table.head])
    yield line(["---" if place < table.left else "---:" for place in range(len(table.head))])
    yield from (line([_literal(cell) for cell in row]) for row in table.rows)
    yield ""


def _listed(title: str, words: Iterable[str]) -> Iterator[str]:
    lines = [f"* {line}" for line in words]
    if lines:
        yield from (f"## {title}", "", *lines, "")


def _code(command: str) -> str:
    """Write a command, which may hold backticks, as code."""
    around = "\N{GRAVE ACCENT}" * (2 if "`" in command else 1)
    return f"{around}{visible(command)}{around}"


def _literal(text: str) -> str:
    r"""Escape text so that Markdown shows it as it is.

    >>> _literal("a|b <i> [x](y) *z* `w`")
    'a\\|b \\<i\\> \\[x\\](y) \\*z\\* \\`w\\`'
    """
    return re.sub(r"([\\*_\[\]<>|`#])", r"\\\1", visible(text.replace("\n", ", ")))
