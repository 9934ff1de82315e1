"""Stream the training set: every row through one forward pass, some rows through the whole programme."""

from collections.abc import Callable, Iterator
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Rows
from onnxbound.linear.programme import Measurement
from onnxbound.run.executor import Executor
from onnxbound.run.folder import RunFolder
from onnxbound.run.partitions import Arrays, Partition, partitions
from onnxbound.run.row_table import Table
from onnxbound.stability.catalogue import CATALOGUE
from onnxbound.stability.property import evaluate
from onnxbound.stability.property_table import PropertyTable, forward_table
from onnxbound.stability.row_margins import margins
from onnxbound.stability.work import MeasuringWork

Progress = Callable[[str, int, int], None]
"""(stage, rows done, rows in all)."""


def silent(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
    del stage, done, total


class Collector:
    """Computes the partitions of a run; finished ones are read from the run's folder."""

    def __init__(self, work: MeasuringWork, executor: Executor, folder: RunFolder | None, progress: Progress) -> None:
        self._work = work
        self._executor = executor
        self._folder = folder
        self._progress = progress

    def forward(self, rows: Rows) -> Table:
        """Run every row through one forward pass."""
        table = forward_table(self._work.network, rows.count)
        size = self._work.arrangement.batches.forward_partition
        for partition, arrays in self._stage("forward", rows, rows.index, size):
            table.write(partition.start, arrays["table"])
        return table

    def errors(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows of a test set have no positive margin, (n,)."""
        wrong = np.empty(rows.count, np.bool_)
        parts = self._stage("test", rows, rows.index, self._work.arrangement.batches.forward_partition)
        for part, arrays in parts:
            wrong[part.start : part.stop] = arrays["wrong"]
        return wrong

    def measure(self, rows: Rows, index: NDArray[np.int64]) -> PropertyTable:
        """Run the programme at some rows, given by their places in the data file.

        Raises:
            ModelError: model-mismatch, the two evaluations of the net differ by more than rounding explains.
        """
        work, arrangement = self._work, self._work.arrangement
        table = PropertyTable(work.network, arrangement.programme, index)
        labels = rows.labels[np.searchsorted(rows.index, index)]
        work.engine.foresee(index)
        for part, arrays in self._stage("measure", rows, index, arrangement.batches.sweep_partition):
            measurement = Measurement(*(arrays[field.name] for field in fields(Measurement)))
            margin = margins(measurement.logits, labels[part.start : part.stop])
            values = evaluate(CATALOGUE, work.network, work.weights, measurement, arrangement.programme)
            table.write(part.start, margin, measurement.ties, values)
        return table

    def _stage(self, stage: str, rows: Rows, index: NDArray[np.int64], size: int) -> Iterator[tuple[Partition, Arrays]]:
        """Every partition of a stage with its result, finished ones first."""
        done, missing = 0, []
        self._progress(stage, 0, len(index))
        for partition in partitions(stage, len(index), size):
            arrays = None if self._folder is None else self._folder.load(partition)
            if arrays is None:
                missing.append(partition)
                continue
            done += partition.rows
            self._progress(stage, done, len(index))
            yield partition, arrays
        for partition, arrays in self._executor.map(self._work, _inputs(rows, index, missing)):
            if self._folder is not None:
                self._folder.save(partition, arrays)
            done += partition.rows
            self._progress(stage, done, len(index))
            yield partition, arrays


def _inputs(rows: Rows, index: NDArray[np.int64], wanted: list[Partition]) -> Iterator[tuple[Partition, Arrays]]:
    for partition in wanted:
        batch = rows.batch(index[partition.start : partition.stop])
        yield partition, {"index": batch.index, "inputs": batch.inputs, "labels": batch.labels}
