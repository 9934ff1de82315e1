"""What a model decides on the rows of a data set: the largest logit, where it is clearly the largest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.decoded import Decoded
from onnxbound.certificates.delivered import Delivered
from onnxbound.certificates.winner import SLACK, UNCLEAR, decided
from onnxbound.codec.architecture import INPUT, OUTPUT
from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.rows_apart import require_rows_apart
from onnxbound.run.session import Runner

BATCH_ROWS = 500
_OTHER_BATCH_ROWS = 377
_CHUNK_ROWS = 4 * BATCH_ROWS
_ROOM = 1 << 26
"""Numbers that the rows of a batch may take at one time."""
Progress = Callable[[str, int, int], object]
"""Is told a stage, how much of it is done, and how much there is."""

Outcome = Callable[[NDArray[Any], int], Float64Array]
"""Logits (n, K) of rows, in batches of that many."""


def errors(found: NDArray[np.int64], labels: NDArray[np.int64]) -> int:
    """Rows that are not clearly decided for their label."""
    return int(np.sum(found != labels))


def disagreements(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """Rows that two models decide differently, or that one of them does not decide."""
    return int(np.sum((one != other) | (one == UNCLEAR)))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where and how models are evaluated.

    Attributes:
        device: Where.
        threads: None for all cores.
        batch_rows: Rows at a time; no certificate depends on it.
        progress: Is told how far it is.
    """

    device: Device
    threads: int | None
    batch_rows: int = BATCH_ROWS
    progress: Progress = lambda *_: None

    def __call__(self, model: Network | Decoded, rows: Rows) -> NDArray[np.int64]:
        """Decide every row twice, in batches of two sizes and in two orders; both have to agree.

        A decoded network, of which nothing can mix rows, is run in larger batches both times; a network of others once
        with every row alone, since it is judged by what it computes for one row at a time.

        Args:
            model: A network decides by the outputs that its file declares, or the tensor that `logits` names.
            rows: Opened for it.

        Returns:
            (m,), classes or `UNCLEAR`.

        Raises:
            DeviceError: onnxruntime does not take the model, or fails.
            DataError: A row is not finite, or the file ends too early.
            ModelError: model-batch, the logits of a row depend on the batch; model-not-classifier.
        """
        outcome = self._of_decoded(model) if isinstance(model, Decoded) else self._of_network(model, rows)
        other_rows = _OTHER_BATCH_ROWS if isinstance(model, Decoded) else 1
        rounds = model.roundings > 0
        found = []
        for start in range(0, rows.count, _CHUNK_ROWS):
            batch = rows.batch(rows.index[start : start + _CHUNK_ROWS])
            one = outcome(batch.inputs, self.batch_rows)
            other = outcome(batch.inputs[::-1], other_rows)[::-1]
            first, second = decided(one), decided(other)
            _require_close(one, other, first, rounds=rounds)
            found.append(np.where(first == second, first, UNCLEAR))
            self.progress("evaluate", min(start + _CHUNK_ROWS, rows.count), rows.count)
        return np.concatenate(found)

    def _of_decoded(self, decoded: Decoded) -> Outcome:
        runner = Runner(decoded.model, Path(), self.device, self.threads)
        room = max(1, _ROOM // decoded.architecture.largest)

        def logits(inputs: NDArray[Any], size: int) -> Float64Array:
            size = min(size, room)
            pieces = (inputs[start : start + size] for start in range(0, len(inputs), size))
            return np.concatenate([runner.run({INPUT: piece})[OUTPUT].astype(np.float64) for piece in pieces])

        return logits

    def _of_network(self, network: Network, rows: Rows) -> Outcome:
        require_rows_apart(network, rows, self.device, self.threads)
        return Delivered(network, rows.labels_start or 0, self.device, self.threads).logits


def _require_close(one: Float64Array, other: Float64Array, first: NDArray[np.int64], *, rounds: bool) -> None:
    """Raise model-batch where a row's logits depend on the batch; a net that rounds may fall either way on an edge."""
    with np.errstate(invalid="ignore"):
        away = np.abs(one - other).max(axis=1) > SLACK * np.abs(one).max(axis=1)
    if not rounds and np.any(away & (first != UNCLEAR)):
        raise ModelError(
            "model-batch",
            "Rows of one batch influence each other.",
            [Problem("logits", "those of one row differ between two batches", "export the model for inference")],
        )
