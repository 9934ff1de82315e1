"""A network and its compressed form on the same rows: what each row keeps of both."""

from dataclasses import dataclass
from math import sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray

from onnxbound.results import Float64Array
from onnxbound.stability.row_margins import margins


@dataclass(frozen=True, slots=True)
class PairedLogits:
    """f and g on m rows, a few numbers for each.

    Attributes:
        margin_before: Of f, (m,).
        margin_after: Of g, (m,).
        distance: |f(x) - g(x)|_2, (m,).
        largest_change: max over y of |f(x)[y] - g(x)[y]|, (m,).
        norm: |f(x)|_2, (m,).
    """

    margin_before: Float64Array
    margin_after: Float64Array
    distance: Float64Array
    largest_change: Float64Array
    norm: Float64Array

    @classmethod
    def of(cls, before: Float64Array, after: Float64Array, labels: NDArray[np.int64]) -> Self:
        """From logits (m, K)."""
        change = np.abs(before - after)
        return cls(
            margins(before, labels),
            margins(after, labels),
            np.linalg.norm(change, axis=1),
            change.max(axis=1),
            np.linalg.norm(before, axis=1),
        )

    @classmethod
    def merge(cls, parts: list[Self]) -> Self:
        """Rows of one after those of the other."""
        fields = ("margin_before", "margin_after", "distance", "largest_change", "norm")
        return cls(*(np.concatenate([getattr(part, field) for part in parts]) for field in fields))

    @property
    def relative_error(self) -> Float64Array:
        """|f(x) - g(x)|_2 / |f(x)|_2; NaN where f(x) = 0."""
        return np.divide(self.distance, self.norm, out=np.full_like(self.norm, np.nan), where=self.norm > 0)

    def far_in_norm(self, gamma: float) -> int:
        """Rows with |f(x) - g(x)|_2 > gamma / sqrt 2; on all others g errs only where f's margin is below gamma."""
        return int(np.sum(~(self.distance <= gamma / sqrt(2))))

    def far_per_logit(self, gamma: float) -> int:
        """Rows with |f(x)[y] - g(x)[y]| > gamma / 2 for some y ([A] Definition 1 lacks the 2)."""
        return int(np.sum(~(self.largest_change <= gamma / 2)))
