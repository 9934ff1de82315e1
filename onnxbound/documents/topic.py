"""Explanations, as `explain` gives them."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from onnxbound.documents.document import Document

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 88


@dataclass(frozen=True, slots=True, repr=False)
class Topic(Document):
    """One explanation.

    Attributes:
        name: As in the report.
        kind: "metric", "bound", "certificate", "method" or "error".
        text: What it is, and how to read it.
        formula: Its definition in symbols; empty for errors.
        source: Where it comes from.
        unit: Its unit.
        assumptions: What must be true for it to hold.
    """

    SCHEMA: ClassVar[str] = "onnxbound.topic/1"

    name: str
    kind: str
    text: str
    formula: str = ""
    source: str = ""
    unit: str = ""
    assumptions: str = ""

    def summary(self) -> str:
        return f"{self.name} ({self.kind})"

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        lines = [self.summary(), "", *textwrap.wrap(self.text, _WIDTH)]
        for label in ("formula", "source", "unit", "assumptions"):
            if value := getattr(self, label):
                lines += ["", *textwrap.wrap(f"{label}: {value}", _WIDTH, subsequent_indent="  ")]
        console.out("\n".join(lines), highlight=False)


@dataclass(frozen=True, slots=True, repr=False)
class Topics(Document):
    """Names that `explain` explains, by kind."""

    SCHEMA: ClassVar[str] = "onnxbound.topics/1"

    topics: Mapping[str, tuple[str, ...]]

    def summary(self) -> str:
        return f"of {sum(map(len, self.topics.values()))} names"

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        listed = (f"{kind}s\n" + "\n".join(f"  {name}" for name in names) for kind, names in self.topics.items())
        console.out("\n\n".join(listed), highlight=False)


ARORA = "Arora, Ge, Neyshabur, Zhang 2018 [A]"
