"""Two nets on the same test rows: by how much their errors on new rows differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from onnxbound.bounds.paired_drop import accuracy_drop_limit


@dataclass(frozen=True, slots=True)
class ErrorDifference:
    """The error of the second of two nets minus that of the first, from test rows that neither has seen.

    Attributes:
        first: Number of the first net, 1-based.
        second: Number of the second.
        rows: n, the test rows.
        only_first: Number of rows on which only the first net errs.
        only_second: Number of rows on which only the second net errs.
        difference: (only_second - only_first) / n.
        low: Lower end of a confidence interval for the difference on new rows. The intervals of all pairs of nets hold
            together with 95 % confidence.
        high: Its other end.
    """

    first: int
    second: int
    rows: int
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float


def error_differences(errors: Sequence[NDArray[np.bool_]], alpha: float) -> tuple[ErrorDifference, ...]:
    """Compare every two nets by the rows on which only one of them errs.

    Both ends are exact limits, each with a probability of failure of alpha / 2 per pair, see `accuracy_drop_limit`.

    Args:
        errors: Per net, whether it errs on each row, (n,).
        alpha: Probability with which any of the intervals may miss.
    """
    pairs = list(combinations(range(len(errors)), 2))
    return tuple(_difference(errors, pair, alpha / (2 * len(pairs))) for pair in pairs)


def _difference(errors: Sequence[NDArray[np.bool_]], pair: tuple[int, int], delta: float) -> ErrorDifference:
    first, second = (errors[place] for place in pair)
    rows, only_first, only_second = len(first), int(np.sum(first & ~second)), int(np.sum(second & ~first))
    return ErrorDifference(
        first=pair[0] + 1,
        second=pair[1] + 1,
        rows=rows,
        only_first=only_first,
        only_second=only_second,
        difference=(only_second - only_first) / rows,
        low=-accuracy_drop_limit(only_first, only_second, rows, delta),
        high=accuracy_drop_limit(only_second, only_first, rows, delta),
    )
