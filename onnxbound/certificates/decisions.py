"""What a model decides on the rows of a data set, as one runtime evaluates it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.rows_apart import require_rows_apart
from onnxbound.run.session import Runner, with_outputs
from onnxbound.stability.margin import margins

BATCH_ROWS = 500
_SLACK = 2.0**-14


@dataclass(frozen=True, slots=True)
class Decisions:
    """Of m rows.

    Attributes:
        predicted: The class of the largest logit, (m,).
        margin: The label's logit less the largest other one, (m,).
        gap: The largest logit less the second, (m,).
        largest: Largest absolute value of a logit.
    """

    predicted: NDArray[np.int64]
    margin: Float64Array
    gap: Float64Array
    largest: float

    @property
    def tau(self) -> float:
        """A slack for runtimes that round otherwise: 2^-14 of the largest logit, about 500 units in its last place.

        Float32 evaluations of one network by two runtimes, batch sizes or devices differ by a few of these units.
        """
        return self.largest * _SLACK

    def errors(self, tau: float) -> int:
        """Rows whose margin is not above tau."""
        return int(np.sum(~(self.margin > tau)))


def decisions(network: Network, rows: Rows, device: Device, threads: int | None, batch_rows: int) -> Decisions:
    """Evaluate a network at every row.

    Args:
        network: As loaded; its own file is run.
        rows: The rows, opened for it.
        device: Where.
        threads: None for all cores.
        batch_rows: Rows at a time; a fixed batch of the model's own comes first.

    Raises:
        DeviceError: onnxruntime does not take the model, or fails.
        DataError: A row is not finite, or the file ends too early.
        ModelError: model-batch.
    """
    require_rows_apart(network, rows, device, threads)
    runner = Runner(with_outputs(network, [network.output]), network.path.parent, device, threads)
    predicted, margin, gap, largest = [], [], [], 0.0
    for batch in rows.batches(network.batch or batch_rows):
        inputs = batch.inputs
        if network.batch is not None and len(inputs) < network.batch:
            inputs = np.concatenate([inputs, np.repeat(inputs[-1:], network.batch - len(inputs), axis=0)])
        logits = runner.run({network.input: inputs})[network.output][: len(batch.labels)].astype(np.float64)
        ordered = np.sort(logits, axis=1)
        predicted.append(logits.argmax(axis=1))
        margin.append(margins(logits, batch.labels))
        gap.append(ordered[:, -1] - ordered[:, -2])
        largest = max(largest, float(np.nan_to_num(np.abs(logits)).max()))
    return Decisions(np.concatenate(predicted), np.concatenate(margin), np.concatenate(gap), largest)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where and how networks are evaluated.

    Attributes:
        device: Where.
        threads: None for all cores.
        batch_rows: Rows at a time.
    """

    device: Device
    threads: int | None
    batch_rows: int = BATCH_ROWS

    def __call__(self, network: Network, rows: Rows) -> Decisions:
        """`decisions` of a network on rows that were opened for it."""
        return decisions(network, rows, self.device, self.threads, self.batch_rows)


def disagreements(original: Decisions, decoded: Decisions, tau: tuple[float, float]) -> int:
    """Rows on which two networks decide differently, or the top-two gap of one is not above its tau."""
    close = ~(original.gap > tau[0]) | ~(decoded.gap > tau[1])
    return int(np.sum(close | (original.predicted != decoded.predicted)))
