"""A JSON document as CSV: one line per number, under its dotted name."""

import csv
import io
from typing import Any

from onnxbound.documents.paths import flatten
from onnxbound.errors import visible


def to_csv(document: dict[str, Any]) -> str:
    """Write two columns, name and value; null is empty.

    A word that a spreadsheet would take for a formula gets an apostrophe in front; control characters are replaced.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "value"])
    writer.writerows((name, _inert(value)) for name, value in flatten(document))
    return text.getvalue()


def _inert(value: Any) -> Any:
    """Write a word so that no program takes it for a command.

    >>> _inert("=1+1"), _inert("conv1"), _inert(-0.5)
    ("'=1+1", 'conv1', -0.5)
    """
    if not isinstance(value, str):
        return value
    shown = visible(value)
    return f"'{shown}" if shown.lstrip().startswith(("=", "+", "-", "@")) else shown
