"""What a model decides on the rows of a data set: the largest logit, where it is clearly the largest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from onnxbound.certificates.decoded import Decoded
from onnxbound.codec.architecture import INPUT, OUTPUT
from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.rows_apart import require_rows_apart
from onnxbound.run.session import Runner, with_outputs

BATCH_ROWS = 500
_OTHER_BATCH_ROWS = 377
_CHUNK_ROWS = 4 * BATCH_ROWS
_ALONE = 8
"""Rows of each chunk that a network of others is also given one by one."""

SLACK = 2.0**-14
"""Share of a row's largest |logit| by which its winner has to lead: runtimes differ by far less."""

UNCLEAR = -1
"""Stands for a row without a winner: a tie, a lead within the slack, a number that is not finite."""

Progress = Callable[[str, int, int], object]
"""Is told a stage, how much of it is done, and how much there is."""

Outcome = Callable[[NDArray[Any], int], Float64Array]
"""Logits (n, K) of rows, in batches of that many."""


def decided(logits: Float64Array) -> NDArray[np.int64]:
    """The class of each row's largest logit, or `UNCLEAR`.

    The rule is one of the row alone: new rows are judged by it too.

    >>> decided(np.array([[1.0, 3.0], [2.0, 2.0], [np.nan, 1.0]])).tolist()
    [1, -1, -1]
    """
    finite = np.asarray(np.isfinite(logits).all(axis=1))
    safe = np.where(finite[:, None], logits, 0)
    ordered = np.sort(safe, axis=1)
    clear: NDArray[np.bool_] = finite & (ordered[:, -1] - ordered[:, -2] > SLACK * np.abs(safe).max(axis=1))
    return np.where(clear, safe.argmax(axis=1), UNCLEAR)


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

        Args:
            model: A network decides by the output that its file declares, or the tensor that `logits` names.
            rows: Opened for it.

        Returns:
            (m,), classes or `UNCLEAR`.

        Raises:
            DeviceError: onnxruntime does not take the model, or fails.
            DataError: A row is not finite, or the file ends too early.
            ModelError: model-batch, the logits of a row depend on the batch; model-not-classifier.
        """
        outcome = self._of_decoded(model) if isinstance(model, Decoded) else self._of_network(model, rows)
        rounds = model.roundings > 0
        found = []
        for start in range(0, rows.count, _CHUNK_ROWS):
            batch = rows.batch(rows.index[start : start + _CHUNK_ROWS])
            one = outcome(batch.inputs, self.batch_rows)
            other = outcome(batch.inputs[::-1], _OTHER_BATCH_ROWS)[::-1]
            first, second = decided(one), decided(other)
            _require_close(one, other, first, rounds=rounds)
            if isinstance(model, Network) and model.batch is None:
                alone = slice(0, _ALONE)
                _require_close(one[alone], outcome(batch.inputs[alone], 1), first[alone], rounds=rounds)
            found.append(np.where(first == second, first, UNCLEAR))
            self.progress("evaluate", min(start + _CHUNK_ROWS, rows.count), rows.count)
        return np.concatenate(found)

    def _of_decoded(self, decoded: Decoded) -> Outcome:
        runner = Runner(decoded.model, Path(), self.device, self.threads)
        return lambda inputs, size: _in_batches(runner, INPUT, OUTPUT, decoded.classes, inputs, size)

    def _of_network(self, network: Network, rows: Rows) -> Outcome:
        require_rows_apart(network, rows, self.device, self.threads)
        first = rows.batch(rows.index[:1]).inputs
        for name in _declared(network):
            model = with_outputs(network, [name])
            outside = {tensor.name for tensor in model.graph.initializer}
            weights = {key: value for key, value in network.external.items() if key in outside}
            runner = Runner(model, network.path.parent, self.device, self.threads, weights)
            filled = np.repeat(first, network.batch or 1, axis=0)
            values = runner.run({network.input: filled})[name]
            if values.dtype.kind == "f" and values.shape == (len(filled), network.classes):
                fixed = network.batch
                return lambda inputs, size, r=runner, n=name: _in_batches(  # type: ignore[misc]
                    r, network.input, n, network.classes, inputs, fixed or size, filled=fixed is not None
                )
        raise ModelError(
            "model-not-classifier",
            f"No output of the model has the shape (n, {network.classes}).",
            [Problem(str(network.path), "it is judged by the largest of K numbers per row", "name it by `logits`")],
        )


def _declared(network: Network) -> Iterator[str]:
    """The outputs to judge by, the best first: what the caller names, what the file declares, the logits."""
    if network.reading.logits is not None:
        yield network.reading.logits
    elif network.head is not None:
        producers = {name: node for node in network.model.graph.node for name in node.output}
        for output in network.model.graph.output:
            if output.type.tensor_type.elem_type in (TensorProto.UNDEFINED, TensorProto.FLOAT, TensorProto.DOUBLE):
                waiting, seen = [output.name], set[str]()
                while waiting and network.output not in seen:
                    name = waiting.pop()
                    if name not in seen:
                        seen.add(name)
                        waiting += producers[name].input if name in producers else ()
                if network.output in seen:
                    yield output.name
    yield network.output


def _in_batches(
    runner: Runner, name: str, output: str, classes: int, inputs: NDArray[Any], size: int, *, filled: bool = False
) -> Float64Array:
    """Logits of rows; a batch that is too short is filled up with its last row where the model has a fixed length."""
    found = []
    for start in range(0, len(inputs), size):
        batch = np.ascontiguousarray(inputs[start : start + size])
        count = len(batch)
        if filled and count < size:
            batch = np.concatenate([batch, np.repeat(batch[-1:], size - count, axis=0)])
        values = runner.run({name: batch})[output]
        if values.shape != (len(batch), classes):
            raise ModelError(
                "model-not-classifier",
                f"The model gives an output of shape {values.shape} for {len(batch)} rows.",
                [Problem(output, f"not ({len(batch)}, {classes})", "certify a model with one vector per row")],
            )
        found.append(values[:count].astype(np.float64))
    return np.concatenate(found)


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
