"""What a model decides on the rows of a data set: the largest logit, where it is clearly the largest."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
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

_BESIDE = 16
"""Rows that run beside each other however much they take: alone, a row could not mind them."""
Progress = Callable[[str, int, int], object]
"""Is told a stage, how much of it is done, and how much there is."""

Outcome = Callable[[NDArray[Any]], Float64Array]
"""Logits (n, K) of rows."""


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
        """Decide every row in several ways, in two orders; all have to agree.

        A network of others is judged by what its file delivers for one row at a time. So every row runs beside others,
        which it must not mind; alone, in the graph as it is written, so that rounding decides nothing; and alone as
        everyone runs the file. A decoded network, in which nothing can mix rows, runs in batches of two sizes, the
        second time as it is written.

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
        ways = self._of_decoded(model) if isinstance(model, Decoded) else self._of_network(model, rows)
        found, chunk = [], max(_BESIDE, min(_CHUNK_ROWS, _ROOM // max(1, prod(rows.array.shape[1:]))))
        for start in range(0, rows.count, chunk):
            inputs = rows.batch(rows.index[start : start + chunk]).inputs
            beside, *others = [way(inputs) for way in ways]
            first = decided(beside)
            if isinstance(model, Network) and not model.roundings:
                _require_close(beside, others[0], first)
            agreed = np.logical_and.reduce([decided(other) == first for other in others])
            found.append(np.where(agreed, first, UNCLEAR))
            self.progress("evaluate", min(start + chunk, rows.count), rows.count)
        return np.concatenate(found)

    def _of_decoded(self, decoded: Decoded) -> list[Outcome]:
        room = max(1, _ROOM // decoded.architecture.held)

        def way(size: int, order: int, *, as_written: bool) -> Outcome:
            runner = Runner(decoded.model, Path(), self.device, self.threads, as_written=as_written)
            return _in_pieces(lambda rows: runner.run({INPUT: rows})[OUTPUT].astype(np.float64), min(size, room), order)

        return [way(self.batch_rows, 1, as_written=False), way(_OTHER_BATCH_ROWS, -1, as_written=True)]

    def _of_network(self, network: Network, rows: Rows) -> list[Outcome]:
        require_rows_apart(network, rows, self.device, self.threads)
        room = max(_BESIDE, _ROOM // sum(map(prod, network.shapes.values())))

        def way(size: int, order: int, **how: bool) -> Outcome:
            delivered = Delivered(network, rows.labels_start or 0, self.device, self.threads, **how)
            return _in_pieces(delivered.logits, min(size, network.batch or room), order)

        beside = way(self.batch_rows, 1, hidden=True)
        return [beside, way(1, -1, hidden=True, as_written=True), way(1, 1)]


def _in_pieces(run: Outcome, size: int, order: int) -> Outcome:
    """That many rows at a time, from the front (1) or from behind (-1)."""

    def logits(inputs: NDArray[Any]) -> Float64Array:
        turned = inputs[::order]
        pieces = [run(np.ascontiguousarray(turned[k : k + size])) for k in range(0, len(turned), size)]
        return np.concatenate(pieces)[::order]

    return logits


def _require_close(one: Float64Array, other: Float64Array, first: NDArray[np.int64]) -> None:
    """Raise model-batch where the logits of a row that is decided differ."""
    with np.errstate(invalid="ignore"):
        away = np.abs(one - other).max(axis=1) > SLACK * np.abs(one).max(axis=1)
    if np.any(away & (first != UNCLEAR)):
        raise ModelError(
            "model-batch",
            "Rows of one batch influence each other, or rounding decides.",
            [
                Problem(
                    "logits",
                    "the logits of one row differ between two ways to run it",
                    "export the model for inference",
                )
            ],
        )
