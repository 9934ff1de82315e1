"""The sweep in NumPy: its noise, and the norms of what arrives."""

from collections.abc import Callable, Iterable

import numpy as np

from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.observation import Arrival
from onnxbound.linear.row_norms import squared_norms
from onnxbound.linear.sweep import Streams, Sweeper, all_sources
from onnxbound.operators.branches import Add
from onnxbound.operators.operator import Array, Operator

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

    def _advance(self, operator: Operator, state: Array | None, inputs: list[Streams]) -> Streams:
        if isinstance(operator, Add) and len({streams.sources for streams in inputs}) > 1:
            return self._summed(operator, inputs)
        return super()._advance(operator, state, inputs)

    def _summed(self, operator: Add, inputs: list[Streams]) -> Streams:
        """A sum where branches meet: of a source that reaches some of them, no zeros stand for the others."""
        sources, widest = all_sources(inputs), max(inputs, key=lambda streams: len(streams.sources))
        moving = {}
        for kind, width in self._per_source.items():
            like = widest.moving[kind]
            total = np.empty_like(like, shape=(len(sources) * width, *like.shape[1:]))
            for place, source in enumerate(sources):
                terms = (
                    (sign, streams.moving[kind][streams.sources.index(source) * width :][:width])
                    for sign, streams in zip(operator.signs, inputs, strict=True)
                    if source in streams.sources
                )
                _add_up(terms, total[place * width : (place + 1) * width])
            moving[kind] = total
        return Streams(sources, operator.act(*(streams.primal for streams in inputs)), moving)


def _add_up(terms: Iterable[tuple[int, Array]], out: Array) -> None:
    """Signed terms added into `out`, in one pass for each but the first."""
    (sign, total), *others = terms
    if sign < 0 or not others:
        total = np.multiply(total, out.dtype.type(sign), out=out)
    for other, term in others:
        total = (np.add if other > 0 else np.subtract)(total, term, out=out)
