"""What a candidate of the search would certify, estimated."""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.space import LevelVector, Space, Tensors
from onnxbound.results import Float64Array
from onnxbound.stability.row_margins import margins

_BLOCK_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Judge:
    """Estimates the bound of a network from some of the rows.

    Attributes:
        outputs: The architecture at all rows.
        labels: Of all rows, (m,).
        delta: Of the bound.
        places: The rows that judge, ascending, (n,).
        blocks: The same in parts, those of a network's smallest margins first, each ascending.
        unseen_error: What that network errs more often on all rows than on those.
    """

    outputs: Outputs
    labels: NDArray[np.int64]
    delta: float
    places: NDArray[np.int64]
    blocks: list[NDArray[np.int64]]
    unseen_error: float

    @classmethod
    def of(
        cls,
        outputs: Outputs,
        labels: NDArray[np.int64],
        delta: float,
        logits: Float64Array,
        places: NDArray[np.int64],
    ) -> "Judge":
        """From the logits of a network at all rows, (m, K)."""
        margin = margins(logits, labels)
        wrong = ~(margin > 0)
        unseen_error = float(np.mean(wrong) - np.mean(wrong[places]))
        hardest_first = places[np.argsort(margin[places], kind="stable")]
        blocks = np.split(hardest_first, range(_BLOCK_ROWS, len(places), _BLOCK_ROWS))
        return cls(outputs, labels, delta, places, [np.sort(block) for block in blocks], unseen_error)

    def worth(self, space: Space, levels: LevelVector, steps: Float64Array, enough: float, dearer: float = 1) -> float:
        """`estimated_bound` of a network on a lattice, each of its bits counted as so many."""
        bits = dearer * space.prices(levels).bits(levels, space.tensor)
        return self.estimated_bound(space.tensors(levels, steps), bits, enough)

    def estimated_bound(self, tensors: Tensors, bits: float, enough: float = np.inf) -> float:
        """From guessed bits, and from the errors on some rows, less what a network like it has more there.

        Rows are counted, those that are most easily lost first, until the bound is no better than `enough`: what is
        returned then is too small, but not below `enough`.
        """
        wrong, bound = 0, 0.0
        for places in self.blocks:
            logits = self.outputs.logits(tensors, places)
            wrong += errors_of(logits, self.labels[places])
            error = max(wrong / len(self.places) + self.unseen_error, 0.0)
            bound = chernoff_bound(error, len(self.labels), bits, self.delta)
            if bound >= enough:
                break
        return bound


def errors_of(logits: Float64Array, labels: NDArray[np.int64]) -> int:
    """Rows whose label has not the largest logit; a certificate counts more carefully."""
    return int(np.sum(~(margins(logits, labels) > 0)))


def chernoff_bound(error: float, rows: int, bits: float, delta: float) -> float:
    """The p > error with kl(error || p) = (bits ln 2 + ln 1/delta) / rows, nearly: good enough to compare codes by.

    >>> round(chernoff_bound(0.014, 60_000, 5800, 0.05), 3)
    0.105
    """
    budget = (bits * log(2) - log(delta)) / rows
    low, high = error, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        kl = (1 - error) * log((1 - error) / (1 - middle)) if error < 1 else 0.0
        kl += error * log(error / middle) if error else 0.0
        low, high = (middle, high) if kl < budget else (low, middle)
    return high
