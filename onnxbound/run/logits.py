"""Logits of rows, computed by onnxruntime."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.batched import Batched
from onnxbound.run.device import Device
from onnxbound.run.session import open_session, with_outputs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Logits:
    """A session that gives the logits of a network."""

    def __init__(
        self, network: Network, device: Device, threads: int | None, *, fused: bool = False, together: bool = False
    ) -> None:
        """`fused` as in `open_session`, `together` as in `Batched`."""

        def opened(model: ModelProto) -> "InferenceSession":
            return open_session(model, network.path.parent, device, threads, network.external, fused=fused)

        self._network = network
        self._runner = Batched(network, with_outputs(network, [network.output]), opened, together=together)

    def run(self, rows: NDArray[Any]) -> Float64Array:
        """f(x) of rows (n, *input_shape), (n, K); a fixed batch is filled up with the last row.

        Raises:
            DeviceError: device-runtime.
        """
        (logits,) = self._runner.run([self._network.output], rows, {})
        return logits.astype(np.float64)
