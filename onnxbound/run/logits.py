"""Logits of rows, computed by onnxruntime."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.fixed_batch import filled
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.session import failed_run, open_session, with_outputs


class Logits:
    """A session that gives the logits of a network; `fused` as in `open_session`."""

    def __init__(self, network: Network, device: Device, threads: int | None, *, fused: bool = False) -> None:
        self._network = network
        model = with_outputs(network, [network.output])
        self._session = open_session(model, network.path.parent, device, threads, network.external, fused=fused)

    def run(self, rows: NDArray[Any]) -> Float64Array:
        """f(x) of rows (n, *input_shape), (n, K); a fixed batch is filled up with the last row.

        Raises:
            DeviceError: device-runtime.
        """
        batch = self._network.batch or len(rows)
        parts = [self._run(rows[start : start + batch], batch) for start in range(0, len(rows), batch)]
        return np.concatenate(parts).astype(np.float64)

    def _run(self, rows: NDArray[Any], batch: int) -> NDArray[Any]:
        try:
            (logits,) = self._session.run([self._network.output], {self._network.input: filled(rows, batch)})
        except Exception as error:
            raise failed_run(error) from error
        return np.asarray(logits)[: len(rows)]
