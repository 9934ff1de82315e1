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
from onnxbound.results import Float64Array

Targets = Literal["outputs", "labels"]
Symmetry = Literal["auto", "none", "mirror"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a search may do.

    Attributes:
        runs: Of thinning, short ones not counted.
        batches: Of a run, at most.
        work: Of a run, at most: `Loss.work` of all its rows together.
        rounds: Of rounding to second order.
        settled: Rounds of settling, at most.
        parameters: Of the largest network that is rounded so.
        rows: Linearised in a round of rounding.
    """

    runs: int
    batches: int
    work: int
    rounds: int
    settled: int
    parameters: int
    rows: int

    @classmethod
    def of(cls, level: int) -> "Effort":
        """Of `effort`, 1 to 9."""
        return cls(
            runs=1 + level // 2,
            batches=160 * level**2,
            work=12 * 10**10 * level**2,
            rounds=max(1, level - 1),
            settled=level,
            parameters=1000 + 1200 * level,
            rows=4000 * (level + 1),
        )

    def rounds_of(self, parameters: int) -> int:
        """Of a network of so many; none if that is too large."""
        return self.rounds if parameters <= self.parameters else 0


@dataclass(frozen=True, slots=True)
class Found:
    """A code and what it is worth.

    Attributes:
        code: What is written.
        data: How.
        errors: Rows that the network errs on, as counted during the search.
        bound: The error it certifies.
        round: In which it was found, from 1.
        rounds: In all, at most.
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
        logits: Of the trained network at the rows, (m, K).
        labels: Of the rows, (m,).
        right: Rows whose label is the decision of the network that the search follows, (m,).
        prior: Tensors of the prior network in the holes; None without one.
        preprocessing: As the code writes it down.
        delta: Of the bound.
        targets: Whether the network is thinned towards its own decisions or towards the labels.
    """

    network: Network
    described: Description
    outputs: Outputs
    logits: Float64Array
    labels: NDArray[np.int64]
    right: NDArray[np.bool_]
    prior: Tensors | None
    preprocessing: Preprocessing
    delta: Decimal
    targets: Targets = "outputs"

    @property
    def parameters(self) -> int:
        """Weights and biases that the search moves."""
        return sum(self.described.tensors[name].size for name in self.described.parameters)

    @property
    def wanted(self) -> NDArray[np.int64]:
        """The class that each row is thinned towards, (m,); -1 for rows that do not matter."""
        return self.labels if self.targets == "labels" else np.where(self.right, self.labels, -1)
