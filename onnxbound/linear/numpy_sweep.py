"""The sweep in NumPy: its noise, and the norms of what arrives."""

from collections.abc import Callable

import numpy as np

from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.observation import Arrival
from onnxbound.linear.row_norms import squared_norms
from onnxbound.linear.sweep import Streams, Sweeper
from onnxbound.operators.operator import Array

Noise = Callable[[Layer, int], Array]
"""(layer, probe) to standard normal noise `(n, *output_shape)`."""


class NumpySweeper(Sweeper):
    """Sweeps arrays; without a radius the noise keeps its own length."""

    def __init__(
        self,
        network: Network,
        probes: int,
        radius: float | None,
        noise: Noise,
        *,
        signals: bool,
        watched: frozenset[str],
        sources: range | None = None,
    ) -> None:
        super().__init__(network, probes, signals=signals, watched=watched, sources=sources)
        self._radius = radius
        self._noise = noise
        self._scale: dict[int, Array] = {}

    def noise(self, layer: Layer, x: Array) -> Array:
        length = np.sqrt(squared_norms(x, 1))
        # A row with x^i = 0 has no relative noise; unit noise keeps its Jacobian measurable.
        length[length == 0] = 1.0
        per_row = (-1, *(1,) * (x.ndim - 1))
        noise = np.empty_like(x[None], shape=(self._probes, *x.shape))
        scale = np.empty((self._probes, len(x)))
        for probe in range(self._probes):
            g = self._noise(layer, probe)
            scale[probe] = 1.0 if self._radius is None else self._radius * length / np.sqrt(squared_norms(g, 1))
            np.multiply(g, scale[probe].reshape(per_row).astype(x.dtype), out=noise[probe])
        self._scale[layer.index] = scale
        return noise

    def arrivals(self, target: int, streams: Streams) -> dict[tuple[int, int], Arrival]:
        """By source and target, for every pair with a path; one source after the other, which saves memory."""
        result = {}
        for position, source in enumerate(streams.sources):
            mine = slice(position * self._probes, (position + 1) * self._probes)
            # The estimate of |J|_F takes standard normal g, and what was sent is eta = scale g.
            tangents = squared_norms(streams.moving["tangents"][mine], 2) / self._scale[source] ** 2
            residuals, signal = streams.moving["residuals"][mine], None
            if "signals" in streams.moving:
                along = streams.moving["signals"][position]
                signal = squared_norms(along, 1)
                # In the linear form the deviation is M(x + eta) - J (x + eta), and that is w + M(x) - J x.
                residuals = residuals + (streams.primal - along)
            result[source, target] = Arrival(tangents, squared_norms(residuals, 2), signal)
        return result
