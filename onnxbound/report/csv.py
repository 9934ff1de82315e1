"""A JSON document as CSV: one line per number, under its dotted name."""

import csv
import io
from typing import Any

from onnxbound.report.paths import flatten


def to_csv(document: dict[str, Any]) -> str:
    """Two columns, name and value; null is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "value"])
    writer.writerows(flatten(document))
    return text.getvalue()
