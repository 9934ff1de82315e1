"""What kind of number a number is: measured, estimated, or proved. The three are never mixed."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

Basis = Literal["measured", "estimated"]
"""What a number follows from: exact values alone, or estimates too."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Values that are exact, up to rounding, on the rows they were measured on.

    Attributes:
        values: One value per row, float64, shape (n,); NaN where the property is undefined.
    """

    values: Float64Array


@dataclass(frozen=True, slots=True)
class Estimate:
    """Values that are the outcome of a randomised estimator.

    Attributes:
        values: One value per row, float64, shape (n,); NaN where the property is undefined.
        standard_errors: The estimated standard error of each value, shape (n,); NaN where there is one probe only.
        probes: Number of random probes behind each value.
        seed: Seed that the probes were made from.
        within: Between which multiples of `values` the exact ones lie, all at once, with probability 0.95; None where
            that is not known.
    """

    values: Float64Array
    standard_errors: Float64Array
    probes: int
    seed: int
    within: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class UpperBound:
    """A number that is proved to be at least the true one, and why."""

    value: float
    reason: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of the defined rows in equally wide bins between the smallest and the largest value.

    Raises:
        ValueError: There is not one edge more than counts, edges fall, or a count is negative.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        rising, counted = list(self.edges) == sorted(self.edges), min(self.counts, default=0) >= 0
        if not (rising and counted and len(self.edges) == len(self.counts) + 1):
            raise ValueError("a histogram has rising edges, one more than counts, which are not negative")


@dataclass(frozen=True, slots=True)
class Statistic:
    """The distribution of a per-row property over the rows it was measured on.

    Attributes:
        min: Smallest value over the rows where the property is defined.
        q05: 5th percentile, linear interpolation.
        median: Median.
        max: Largest value.
        rows: Rows that were measured, defined or not.
        undefined: Rows on which the property is undefined; they are left out of every other field.
        kind: "measured" if each value is exact on its row, "estimated" if it comes from random probes.
        standard_error: Root mean square of the per-row standard errors; None if measured, or with one probe.
        probes: Random probes behind each value; None if measured.
        histogram: 20 bins over [min, max].
        within: Between which multiples of `min`, `q05`, `median` and `max` the exact ones lie, all at once, with
            probability 0.95, whatever the Jacobians; None if measured, or where that is not known.
    """

    min: float
    q05: float
    median: float
    max: float
    rows: int
    undefined: int
    kind: Basis
    standard_error: float | None
    probes: int | None
    histogram: Histogram
    within: tuple[float, float] | None = None


def summarise(result: Measured | Estimate) -> Statistic | None:
    """Summarise per-row values; None where the property is undefined on every row.

    >>> summarise(Measured(np.array([1.0, 2.0, np.nan]))).median
    1.5
    """
    defined = np.isfinite(result.values)
    values = result.values[defined]
    if values.size == 0:
        return None
    q05, median = np.quantile(values, [0.05, 0.5])
    counts, edges = np.histogram(values, bins=20, range=_histogram_range(values))
    standard_error = None
    if isinstance(result, Estimate) and result.probes > 1:
        standard_error = float(np.sqrt(np.mean(result.standard_errors[defined] ** 2)))
    return Statistic(
        min=float(values.min()),
        q05=float(q05),
        median=float(median),
        max=float(values.max()),
        rows=result.values.size,
        undefined=int(result.values.size - values.size),
        kind="estimated" if isinstance(result, Estimate) else "measured",
        standard_error=standard_error,
        probes=result.probes if isinstance(result, Estimate) else None,
        histogram=Histogram(tuple(edges.tolist()), tuple(counts.tolist())),
        within=result.within if isinstance(result, Estimate) else None,
    )


def _histogram_range(values: Float64Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return low, high
    half = 0.5 * max(abs(low), 1e-12) * 1e-3
    return low - half, high + half
