"""Stream the training set: every row through one forward pass, some rows through the whole programme."""

from collections.abc import Callable
from math import prod
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem
from onnxbound.graph.network import Network
from onnxbound.linear.measure import measure
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.results import Float64Array
from onnxbound.run.forward import ForwardPass
from onnxbound.run.spool import Spool
from onnxbound.stability.margin import margins
from onnxbound.stability.properties import WeightNorms, forward_properties

Progress = Callable[[str, int, int], None]
"""(stage, rows done, rows in all)."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
    del stage, done, total


_FORWARD_BYTES = 64 << 20
_SWEEP_BYTES = 192 << 20
_DISAGREEMENT = 1e-4
"""Largest difference of two float32 evaluations of a net, relative to max |f(x)|, that rounding can explain."""


class ForwardTable:
    """Margin, |f(x)|_2 and the forward properties of every row, one column each, kept on disk."""

    _FIELDS = ("layer_cushion", "contraction", "between_contraction", "noise_sensitivity", "input_norm")

    def __init__(self, network: Network) -> None:
        self._depth = network.depth
        self._spool = Spool(2 + len(self._FIELDS) * network.depth)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._spool.__exit__(kind, error, at)

    def fill(
        self, network: Network, weights: WeightNorms, forward: ForwardPass, rows: Rows, progress: Progress
    ) -> None:
        """Run every row."""
        done = 0
        progress("forward", 0, rows.count)
        for batch in rows.batches(forward_batch(network)):
            norms = forward.run(batch.inputs)
            found = forward_properties(network, weights, norms)
            columns = [
                margins(norms.logits, batch.labels)[:, None],
                np.linalg.norm(norms.logits, axis=1)[:, None],
                *(getattr(found, field) for field in self._FIELDS[:-1]),
                norms.input_norm,
            ]
            self._spool.append(np.concatenate(columns, axis=1))
            done += len(batch.labels)
            progress("forward", done, rows.count)

    def margin(self) -> Float64Array:
        """Margins, (m,)."""
        return self._spool.column(0)

    def logit_norm(self) -> Float64Array:
        """|f(x)|_2, (m,)."""
        return self._spool.column(1)

    def column(self, field: str, layer: int) -> Float64Array:
        """One forward property, or `input_norm`, of layer i, (m,)."""
        return self._spool.column(2 + self._FIELDS.index(field) * self._depth + layer - 1)


def error_rate(forward: ForwardPass, network: Network, rows: Rows, progress: Progress) -> float:
    """Share of rows that are not classified with a positive margin."""
    wrong, done = 0, 0
    for batch in rows.batches(forward_batch(network)):
        wrong += int(np.sum(~(margins(forward.run(batch.inputs).logits, batch.labels) > 0)))
        done += len(batch.labels)
        progress("test", done, rows.count)
    return float(wrong / rows.count)


def measure_rows(
    network: Network,
    programme: Programme,
    forward: ForwardPass,
    rows: Rows,
    index: NDArray[np.int64],
    progress: Progress,
) -> Measurement:
    """The programme in float32 at some rows of the data file, each batch held against onnxruntime's logits.

    Raises:
        ModelError: model-mismatch, the two evaluations of the net differ by more than rounding explains.
    """
    working = network.cast(np.float32)
    parts: list[Measurement] = []
    done = 0
    progress("measure", 0, len(index))
    for batch in rows.batches(sweep_batch(network, programme), index):
        part = measure(working, programme, batch.index, batch.inputs.astype(np.float32))
        _require_agreement(part.logits, forward.run(batch.inputs).logits)
        parts.append(part)
        done += len(batch.index)
        progress("measure", done, len(index))
    return Measurement.merge(parts)


def _require_agreement(ours: Float64Array, runtime: Float64Array) -> None:
    difference, scale = float(np.abs(ours - runtime).max()), float(np.abs(runtime).max())
    if not difference <= _DISAGREEMENT * scale:
        raise ModelError(
            "model-mismatch",
            "onnxbound's own evaluation of the net differs from onnxruntime's.",
            [
                Problem(
                    "logits",
                    f"they differ by {difference:.3g} where max |f(x)| is {scale:.3g}",
                    "please report the model: onnxbound reads one of its operators wrongly",
                )
            ],
        )


def forward_batch(network: Network) -> int:
    """Rows per forward pass, so that all activations of a batch stay within a fixed memory."""
    per_row = 4 * sum(prod(shape) for shape in network.shapes.values())
    return int(np.clip(_FORWARD_BYTES // per_row, 1, 512))


def sweep_batch(network: Network, programme: Programme) -> int:
    """Rows per sweep, so that the widest place, streams and all, stays within a fixed memory."""
    largest = 0
    for step in network.steps:
        streams = 1 + 2 * programme.probes * (len(network.sources[step.output]) + 1)
        sizes = [prod(network.shapes[name]) for name in (*step.inputs, step.output)]
        largest = max(largest, 4 * streams * sum(sizes))
    return int(np.clip(_SWEEP_BYTES // largest, 1, 64))
