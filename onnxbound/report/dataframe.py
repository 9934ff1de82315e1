"""Parts of a result as pandas DataFrames."""

from collections.abc import Mapping, Sequence
from typing import Any

from onnxbound.documents.paths import flatten
from onnxbound.errors import Problem, UsageError


def dataframe(table: str, index: Mapping[str, Sequence[str]], entries: Sequence[Mapping[str, Any]]) -> Any:
    """Make a pandas DataFrame with one row per entry.

    Args:
        table: Name of the table.
        index: Name of every table to the columns of its index.
        entries: JSON objects. Columns have their dotted names; histograms are left out.

    Raises:
        UsageError: There is no such table, or pandas is not installed.
    """
    if table not in index:
        raise UsageError("usage", f"`table` must be one of {', '.join(index)}, not {table!r}.")
    try:
        import pandas as pd
    except ImportError as error:
        problem = Problem("pandas", "it is not installed", "pip install pandas")
        raise UsageError("usage", "A DataFrame needs pandas.", [problem]) from error
    rows = [dict(flatten(entry)) for entry in entries]
    frame = pd.DataFrame(rows, columns=None if rows else index[table]).set_index(list(index[table]))
    # A statistic that is null in one entry has a column of its own, beside those of its numbers in the others.
    frame = frame.drop(columns=[name for name in frame if any(str(c).startswith(f"{name}.") for c in frame)])
    return frame.astype({name: float for name in frame if frame[name].isna().all()})
