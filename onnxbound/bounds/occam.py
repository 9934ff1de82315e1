"""From bits to a generalisation gap: [A] Theorem 2.1 with counted bits."""

from math import inf, log, nextafter, sqrt


def description_gap(bits: float, delta: float, rows: int) -> float:
    """sqrt((ln 2 * bits + ln(1 / delta)) / (2 m)), rounded up.

    With probability at least 1 - delta over m independent rows, every function that some prefix-free code describes in
    `bits` bits errs on new rows at most that much more often than on these: Hoeffding's inequality for each, at
    confidence delta 2^-bits, and Kraft's inequality over all.

    Args:
        bits: Length of the description.
        delta: Probability of failure.
        rows: m.

    >>> round(description_gap(1000, 0.05, 60_000), 4)
    0.0762
    """
    return nextafter(sqrt((log(2) * bits + log(1 / delta)) / (2 * rows)) * (1 + 1e-15), inf)
