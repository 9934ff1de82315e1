"""One explanation of `onnxbound explain`."""

from dataclasses import dataclass
from typing import ClassVar

from onnxbound.documents.document import Document


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
        assumptions: What it needs.
    """

    SCHEMA: ClassVar[str] = "onnxbound.topic/1"

    name: str
    kind: str
    text: str
    formula: str = ""
    source: str = ""
    unit: str = ""
    assumptions: str = ""


ARORA = "Arora, Ge, Neyshabur, Zhang 2018 [A]"
