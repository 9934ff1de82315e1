"""What runs a programme: its interface, and the engine that interprets it in NumPy."""

from abc import ABC, abstractmethod
from math import prod
from time import perf_counter
from typing import Literal

import numpy as np

from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import plan_exact_pairs
from onnxbound.linear.measure import measure
from onnxbound.linear.programme import Measurement, Programme, Share
from onnxbound.linear.threads import LEAST_ROWS, even_rows, in_parts, part_rows
from onnxbound.operators.operator import Array

EngineName = Literal["numpy", "onnxruntime", "onnxruntime-half"]
Asked = Literal["auto", "numpy", "onnxruntime"]

_DEALT, _DEALT_ENTRIES = 4, 1 << 24
"""Sweeps side by side at a few rows of a large net, and entries of all tangents below which they wait for Python.

Their number is fixed, since BLAS rounds a product of fewer columns otherwise: threads change no result.
"""


class Engine(ABC):
    """Runs one programme over one network, batch by batch. It keeps the batch of a trial, which is not run again."""

    name: EngineName
    _kept: tuple[bytes, Measurement] | None = None

    def measure(self, index: Array, rows: Array) -> Measurement:
        """Run the programme; what overflows is infinite or NaN, for the caller to find.

        Args:
            index: Rows in the data file, (n,).
            rows: Preprocessed inputs, (n, *input_shape).
        """
        if self._kept is not None and self._kept[0] == index.tobytes():
            return self._kept[1]
        return self._run(index, rows)

    def trial(self, index: Array, rows: Array) -> float:
        """Run a batch, keep what was measured, and return the seconds per row."""
        started = perf_counter()
        self._kept = index.tobytes(), self._run(index, rows)
        return (perf_counter() - started) / len(index)

    def foresee(self, index: Array) -> None:
        """Hear which rows will be measured, in their order; an engine may prepare what they need."""
        del index

    @abstractmethod
    def _run(self, index: Array, rows: Array) -> Measurement: ...


class NumpyEngine(Engine):
    """Interprets the programme in NumPy, in float32."""

    name = "numpy"

    def __init__(
        self, network: Network, programme: Programme, threads: int | None = None, share: Share | None = None
    ) -> None:
        self._network = network.cast(np.float32)
        self._programme = programme
        self._threads = threads
        self._share = share
        self._plan = plan_exact_pairs(network, programme)
        self._part_rows = part_rows(network)
        carried = share or Share.whole(programme, network.depth)
        self._per_row = sum(map(prod, network.shapes.values())) * carried.probes * carried.sources

    def _run(self, index: Array, rows: Array) -> Measurement:
        """Interpret the programme."""
        rows = rows.astype(np.float32, copy=False)

        # A few rows of a large net are no parts of a batch: there the sweeps stand side by side.
        alone = len(index) <= self._part_rows and len(index) * self._per_row >= _DEALT_ENTRIES
        dealt = _DEALT if alone else 1

        def run(part: slice) -> Measurement:
            with np.errstate(over="ignore", invalid="ignore"):
                return measure(
                    self._network,
                    self._programme,
                    index[part],
                    rows[part],
                    self._share,
                    self._plan,
                    dealt,
                    self._threads,
                )

        most = self._part_rows
        # Of a small net, whose parts are larger, Python takes the time, which threads cannot share.
        size = even_rows(len(index), most) if most == LEAST_ROWS and not alone else most
        return Measurement.merge(in_parts(run, len(index), size, self._threads))
