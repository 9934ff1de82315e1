"""Logarithms, also of 0: products over many layers overflow a float."""

import math
from collections.abc import Sequence


def log(value: float) -> float:
    """Natural logarithm, -inf at 0.

    >>> log(0)
    -inf
    """
    return math.log(value) if value > 0 else -math.inf


def log_sum(logs: Sequence[float]) -> float:
    """log sum_i exp(logs_i), -inf of an empty sum.

    >>> round(log_sum([1000.0, 1000.0]) - 1000, 6)
    0.693147
    """
    top = max(logs, default=-math.inf)
    return top if math.isinf(top) else top + math.log(sum(math.exp(value - top) for value in logs))
