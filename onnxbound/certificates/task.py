"""What a search for a code is for, how much work it may do, and what it finds."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.space import Tensors
from onnxbound.codec.describe import Description
from onnxbound.codec.network_code import NetworkCode
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.network import Network

Targets = Literal["outputs", "labels"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a search may do.

    Attributes:
        rounds: Rounds of rounding.
        rows: Rows that are linearised in each, more for networks of fewer entries.
        entries: Parameters that can be moved; the others are 0 from the start.
        batches: By which the network is thinned.
    """

    rounds: int
    rows: int
    entries: int
    batches: int

    @classmethod
    def of(cls, level: int) -> "Effort":
        """Of `effort`, 1 to 9."""
        return cls(rounds=2 + level, rows=2000 * (level + 1), entries=1000 + 1200 * level, batches=180 * level)


@dataclass(frozen=True, slots=True)
class Found:
    """A code and what it is worth.

    Attributes:
        code: What is written.
        data: How.
        errors: Rows that the network errs on, as counted during the search.
        bound: The error it certifies.
        round: The round that found it, from 1.
        rounds: Rounds in all.
    """

    code: NetworkCode
    data: bytes
    errors: int
    bound: Decimal
    round: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Task:
    """What a search is for.

    Attributes:
        network: The trained network.
        described: It, taken apart.
        outputs: Its architecture at the rows.
        labels: Of the rows, (m,).
        prior: Tensors of the prior network in the holes; None without one.
        preprocessing: As the code writes it down.
        delta: Of the bound.
        targets: Whether the network is thinned towards its own decisions or towards the labels.
    """

    network: Network
    described: Description
    outputs: Outputs
    labels: NDArray[np.int64]
    prior: Tensors | None
    preprocessing: Preprocessing
    delta: Decimal
    targets: Targets = "outputs"
