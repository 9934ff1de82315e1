"""Parts of a report as pandas DataFrames."""

from typing import Any

from onnxbound.analysis.result import Report
from onnxbound.documents.paths import flatten
from onnxbound.errors import Problem, UsageError

_INDEX = {"layers": ["index"], "pairs": ["source", "target"], "bounds": ["name"]}


def dataframe(report: Report, table: str) -> Any:
    """Make a pandas DataFrame with one row per layer, pair or bound.

    Args:
        report: The report.
        table: "layers", "pairs" or "bounds". Columns have the dotted names of the report; histograms are left out.

    Raises:
        UsageError: There is no such table, or pandas is not installed.
    """
    if table not in _INDEX:
        raise UsageError("usage", f"`table` must be one of {', '.join(_INDEX)}, not {table!r}.")
    try:
        import pandas as pd
    except ImportError as error:
        problem = Problem("pandas", "it is not installed", "pip install pandas")
        raise UsageError("usage", "A DataFrame needs pandas.", [problem]) from error
    entries = report.to_json()[table]
    return pd.DataFrame([dict(flatten(entry)) for entry in entries]).set_index(_INDEX[table])
