"""The logits of all rows for any numbers in the holes of an architecture, by one session that is made once."""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.architecture import INPUT, OUTPUT, Architecture
from onnxbound.data.rows import Rows
from onnxbound.linear.threads import in_parts
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.session import Runner

_PART_ROWS, _PART_VECTORS = 64, 512
"""Rows of a part: images, whose activations are to fit into a cache, and vectors.

Each part has one thread, since several threads of a convolution wait for each other. The number of threads does not
change the parts, and so no result.
"""

_CHUNK_ROWS = 4096
"""Rows that are read at a time where they are not kept."""

_KEPT_BYTES = 1 << 30
"""Rows that are together smaller than this are read and preprocessed once."""


class Outputs:
    """An architecture as a function of its holes, at the rows of a data set.

    Attributes:
        architecture: Of the function.
        device: Where it runs.
        threads: How many; None for all cores.
    """

    def __init__(self, architecture: Architecture, rows: Rows, device: Device, threads: int | None) -> None:
        self._rows, self.device, self.threads = rows, device, threads
        self._take(architecture)
        fits = rows.count * int(np.prod(architecture.input_shape)) * 4 <= _KEPT_BYTES
        self._kept: NDArray[np.float32] | None = None
        if fits:
            self._kept = np.empty((rows.count, *architecture.input_shape), np.float32)
            for start in range(0, rows.count, _CHUNK_ROWS):
                index = rows.index[start : start + _CHUNK_ROWS]
                self._kept[start : start + _CHUNK_ROWS] = rows.batch(index).inputs

    def of(self, architecture: Architecture) -> "Outputs":
        """Another architecture at the same rows, which are kept once."""
        other = copy(self)
        other._take(architecture)
        return other

    def _take(self, architecture: Architecture) -> None:
        model = architecture.model(open_holes=range(len(architecture.holes)))
        self.architecture, self._runner = architecture, Runner(model, Path(), self.device, 1)

    def inputs(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Preprocessed rows `(n, *input_shape)`; places count the chosen rows, from 0, and ascend."""
        if self._kept is not None:
            return self._kept[places]
        return self._rows.batch(self._rows.index[places]).inputs.astype(np.float32)

    def views(self, places: NDArray[np.int64]) -> Sequence[NDArray[np.float32]]:
        """The same rows, and their mirror images where the architecture sees them too."""
        rows = self.inputs(places)
        if not self.architecture.mirrored:
            return [rows]
        return [rows, np.ascontiguousarray(np.flip(rows, self.architecture.width_axis))]

    def logits(
        self, tensors: Mapping[str, NDArray[np.float32]], places: NDArray[np.int64] | None = None
    ) -> Float64Array:
        """Logits (n, K) of some rows, or of all, with the given tensors in the holes."""
        wanted = np.arange(self._rows.count) if places is None else places
        parts: list[NDArray[np.float32]] = []
        size = _PART_ROWS if len(self.architecture.input_shape) > 1 else _PART_VECTORS
        for start in range(0, len(wanted), _CHUNK_ROWS):
            rows = self.inputs(wanted[start : start + _CHUNK_ROWS])
            parts += in_parts(partial(self._run, tensors, rows), len(rows), size, self.threads)
        return np.concatenate(parts).astype(np.float64)

    def _run(
        self, tensors: Mapping[str, NDArray[np.float32]], rows: NDArray[np.float32], part: slice
    ) -> NDArray[np.float32]:
        return self._runner.run({INPUT: rows[part], **tensors})[OUTPUT]
