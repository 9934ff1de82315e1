"""Stream the training set: every row through one forward pass, some rows through the whole programme."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.linear.programme import Measurement
from onnxbound.results import Float64Array
from onnxbound.run.executor import Executor
from onnxbound.run.folder import RunFolder
from onnxbound.run.partitions import Arrays, Partition, partitions
from onnxbound.run.spool import Spool
from onnxbound.stability.work import FORWARD_FIELDS, Work

Progress = Callable[[str, int, int], None]
"""(stage, rows done, rows in all)."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
    del stage, done, total


class Collector:
    """Computes the partitions of a run, each once: those that its folder holds are taken from there."""

    def __init__(self, work: Work, executor: Executor, folder: RunFolder | None, progress: Progress) -> None:
        self._work = work
        self._executor = executor
        self._folder = folder
        self._progress = progress

    def forward(self, rows: Rows) -> "ForwardTable":
        """Every row through one forward pass."""
        table = ForwardTable(self._work.network, rows.count)
        try:
            for partition, found in self._stage(
                "forward", rows, rows.index, self._work.arrangement.batches.forward_partition
            ):
                table.write(partition.start, found["table"])
        except BaseException:
            table.__exit__(None, None, None)
            raise
        return table

    def error_rate(self, rows: Rows) -> float:
        """Share of the rows of a test set that are not classified with a positive margin."""
        parts = self._stage("test", rows, rows.index, self._work.arrangement.batches.forward_partition)
        return sum(int(found["wrong"]) for _, found in parts) / rows.count

    def measure(self, rows: Rows, index: NDArray[np.int64]) -> Measurement:
        """The programme at some rows, given by their places in the data file.

        Raises:
            ModelError: model-mismatch, the two evaluations of the net differ by more than rounding explains.
        """
        parts: dict[int, Measurement] = {}
        for partition, found in self._stage("measure", rows, index, self._work.arrangement.batches.sweep_partition):
            parts[partition.number] = Measurement(*(found[field.name] for field in fields(Measurement)))
        return Measurement.merge([parts[number] for number in sorted(parts)])

    def _stage(self, stage: str, rows: Rows, index: NDArray[np.int64], size: int) -> Iterator[tuple[Partition, Arrays]]:
        """Every partition of a stage with its result, finished ones first."""
        done, missing = 0, []
        self._progress(stage, 0, len(index))
        for partition in partitions(stage, len(index), size):
            found = None if self._folder is None else self._folder.load(partition)
            if found is None:
                missing.append(partition)
                continue
            done += partition.rows
            self._progress(stage, done, len(index))
            yield partition, found
        for partition, found in self._executor.map(self._work, _inputs(rows, index, missing)):
            if self._folder is not None:
                self._folder.save(partition, found)
            done += partition.rows
            self._progress(stage, done, len(index))
            yield partition, found


def _inputs(rows: Rows, index: NDArray[np.int64], wanted: list[Partition]) -> Iterator[tuple[Partition, Arrays]]:
    for partition in wanted:
        batch = rows.batch(index[partition.start : partition.stop])
        yield partition, {"index": batch.index, "inputs": batch.inputs, "labels": batch.labels}


class ForwardTable:
    """Margin, |f(x)|_2 and the forward properties of every row, one column each, kept on disk."""

    def __init__(self, network: Network, rows: int) -> None:
        self._depth = network.depth
        self._spool = Spool(rows, 2 + len(FORWARD_FIELDS) * network.depth)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._spool.__exit__(kind, error, at)

    def write(self, start: int, rows: Float64Array) -> None:
        """Some rows, from a place on."""
        self._spool.write(start, rows)

    def margin(self) -> Float64Array:
        """Margins, (m,)."""
        return self._spool.column(0)

    def logit_norm(self) -> Float64Array:
        """|f(x)|_2, (m,)."""
        return self._spool.column(1)

    def column(self, field: str, layer: int) -> Float64Array:
        """One forward property, or `input_norm`, of layer i, (m,)."""
        return self._spool.column(2 + FORWARD_FIELDS.index(field) * self._depth + layer - 1)
