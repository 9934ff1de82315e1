"""Try what an error about rows suggests on the net itself."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from onnxbound.data.rows import Rows
from onnxbound.errors import DataError, OnnxboundError, Problem
from onnxbound.graph.network import Network
from onnxbound.run.device import CPU
from onnxbound.run.likely_cause import likely_cause
from onnxbound.run.logits import Logits
from onnxbound.words import percent

_ROWS, _FEWEST, _PRODUCTS = 1024, 128, 2e10
"""Rows of a trial: so many if they take no more multiply-adds than that, or else fewer, but not too few."""

_MOST_PARAMETERS = 20_000_000
_SUSPICIOUS = 0.25
"""Share of the error of guessing above which the numbers are worth a word."""


def tried(error: DataError, network: Network, reopen: Callable[[Mapping[str, Any]], Rows]) -> DataError:
    """Complete the suggestion of an error by a trial on a few rows, above all mean and std.

    Args:
        error: The error that opening the rows raised.
        network: The net that they are for.
        reopen: Opens the rows with further parameters.
    """
    if not error.suggestion:
        return error
    if network.parameters > _MOST_PARAMETERS:
        why = f"they were not tried, since the net has more than {_MOST_PARAMETERS:,} parameters"
        return _with(error, Problem("`mean` and `std`", why, "give the values of training"), {})
    try:
        rows = reopen(error.suggestion)
        most = min(_ROWS, max(_FEWEST, int(_PRODUCTS / max(1, network.multiply_adds))), rows.count)
        places = np.linspace(0, rows.count - 1, most).astype(np.int64)
        few = replace(rows, index=rows.index[places], labels=rows.labels[places])
        logits = Logits(network, CPU, None)
        predicted = np.concatenate([logits.run(batch.inputs).argmax(axis=1) for batch in few.batches(32)])
        wrong = predicted != few.labels
        cause = likely_cause(network, few, CPU, None, wrong)
    except OnnxboundError:  # another error, of rows that did not fit in the first place
        return error
    where, how_wrong = f"a trial on {few.count} rows", f"the net errs on {percent(wrong.mean())} of them"
    if cause is not None:
        why = f"{how_wrong}, and on about {percent(cause.after)} with this further change"
        return _with(error, Problem(where, why, cause.words), cause.parameters)
    if wrong.mean() > _SUSPICIOUS * (1 - 1 / network.classes):
        why = f"{how_wrong}, and no usual value of `mean` and `std` makes this surely better"
        return _with(error, Problem(where, why, "give the values of training"), {})
    return error


def _with(error: DataError, problem: Problem, parameters: Mapping[str, Any]) -> DataError:
    suggestion = {**error.suggestion, **parameters}
    return DataError(error.code, error.message, (*error.problems, problem), suggestion)
