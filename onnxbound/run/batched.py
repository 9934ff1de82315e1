"""Rows through a session whose model may fix how many go in at once."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from onnxbound.errors import OnnxboundError
from onnxbound.graph.fixed_batch import filled
from onnxbound.graph.free_batch import free_batch
from onnxbound.graph.network import Network
from onnxbound.run.session import failed_run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_TOGETHER, _COMPARED = 32, 4
"""Rows that go together where the model would take fewer, and those that must come out alike alone."""

_AT_ONCE, _LARGEST = 100, 1 << 24
"""Rows that go together where nothing is fixed, and bytes of a tensor that the allocator still keeps for the next."""

_TOLERANCE = 1e-5
"""Of the largest value: what another order of a sum may change."""

Open = Callable[[ModelProto], "InferenceSession"]


class Batched:
    """Runs rows batch by batch.

    A model that fixes its batch is also tried with more rows at once, which saves most of the time of small nets. It
    stays with that if the first rows come out as they do alone.

    Attributes:
        session: Of the model as it is.
    """

    def __init__(self, network: Network, model: ModelProto, opened: Open, *, together: bool) -> None:
        """`opened` opens sessions; `together` whether more rows may go in at once than the file says."""
        self._network, self._model, self._opened = network, model, opened
        self.session = opened(model)
        self._wide: InferenceSession | None = None
        self._untried = together and network.batch is not None

    def run(self, names: Sequence[str], rows: NDArray[Any], others: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Tensors at rows (n, *input_shape), each (n, ...), where other inputs stay the same.

        Raises:
            DeviceError: device-runtime.
        """
        batch = self._network.batch or len(rows)
        if self.widens(names, rows, others) and len(rows) > batch:
            assert self._wide is not None
            return self._in_parts(self._wide, names, rows, others, max(batch, _TOGETHER), fill=False)
        return self._in_parts(self.session, names, rows, others, batch, fill=True)

    def widens(self, names: Sequence[str], rows: NDArray[Any], others: Mapping[str, NDArray[Any]]) -> bool:
        """Whether more of the rows go in at once than the file says."""
        batch = self._network.batch or len(rows)
        if self._untried and len(rows) > batch:
            self._untried = False
            self._wide = self._if_rows_stay_apart(names, rows[:_COMPARED], others, batch)
        return self._wide is not None

    def _if_rows_stay_apart(
        self, names: Sequence[str], rows: NDArray[Any], others: Mapping[str, NDArray[Any]], batch: int
    ) -> "InferenceSession | None":
        try:
            session = self._opened(free_batch(self._model, batch))
            found = self._in_parts(session, names, rows, others, len(rows), fill=False)
        except OnnxboundError:
            return None
        alone = self._in_parts(self.session, names, rows, others, batch, fill=True)
        return session if all(map(_alike, found, alone)) else None

    def _in_parts(
        self,
        session: "InferenceSession",
        names: Sequence[str],
        rows: NDArray[Any],
        others: Mapping[str, NDArray[Any]],
        size: int,
        *,
        fill: bool,
    ) -> list[NDArray[Any]]:
        parts = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            try:
                parts.append(session.run(names, {**others, self._network.input: filled(part, size) if fill else part}))
            except Exception as error:
                raise failed_run(error) from error
        return [np.concatenate(each)[: len(rows)] for each in zip(*parts, strict=True)]


def rows_at_once(network: Network) -> int:
    """How many go together where a file leaves that open: fewer where tensors are large, which makes each faster."""
    return max(1, min(_AT_ONCE, _LARGEST // (4 * max(map(prod, network.shapes.values())))))


def _alike(found: NDArray[Any], alone: NDArray[Any]) -> bool:
    if found.shape != alone.shape:
        return False
    return bool(np.abs(found - alone).max(initial=0.0) <= _TOLERANCE * np.abs(alone).max(initial=0.0))
