"""One forward sweep with the rows, the tangents of all probes and their deviations from linearity.

Tangents start at the output of each layer and join the batch there, so that one matrix product per layer serves every
probe of every earlier layer, and one sweep gives every pair i < j. The same noise serves |J|_F and smoothness.

Beside the tangent J eta, the sweep carries the deviation w = M(x + eta) - M(x) - J eta and not M(x + eta). It costs the
same, and the small number that smoothness needs is then never the difference of two large ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from onnxbound.graph.network import Layer, Network, Step
from onnxbound.linear.observation import Arrival
from onnxbound.linear.row_norms import squared_norms
from onnxbound.operators.operator import Array

Noise = Callable[[Layer, int], Array]
"""(layer, probe) to standard normal noise `(n, *output_shape)`."""


@dataclass(frozen=True, slots=True)
class Streams:
    """A tensor's value and its response to the noise of every upstream layer; streams are source-major.

    Attributes:
        sources: Upstream layers, ascending; each has one stream per probe.
        primal: The value, `(1, n, *shape)`.
        tangents: J eta, `(sources * probes, n, *shape)`.
        residuals: M(x + eta) - M(x) - J eta, of the same shape.
        signals: J x^i, `(sources, n, *shape)`; no streams in the affine form.
    """

    sources: tuple[int, ...]
    primal: Array
    tangents: Array
    residuals: Array
    signals: Array


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of one sweep.

    Attributes:
        arrivals: (source, target) to the norms there, for every pair with a path.
        states: Per step, what its linearisation needs to know of the rows.
        values: Primal value of every tensor that was asked for.
        ties: Rows at which a gate has no derivative, shape (n,).
    """

    arrivals: Mapping[tuple[int, int], Arrival]
    states: tuple[Array | None, ...]
    values: Mapping[str, Array]
    ties: Array


class Sweeper:
    """Runs the sweep of one batch; without a radius the noise keeps its own length.

    Noise starts at `sources` alone, 1-based layers, or at every layer but the last.
    """

    def __init__(
        self,
        network: Network,
        probes: int,
        radius: float | None,
        noise: Noise,
        *,
        signals: bool,
        keep: frozenset[str],
        sources: range | None = None,
    ) -> None:
        self._network = network
        self._probes = probes
        self._radius = radius
        self._noise = noise
        self._signals = signals
        self._keep = keep
        sources = range(1, network.depth) if sources is None else sources
        self._sources = {network.layers[i - 1].output: network.layers[i - 1] for i in sources}
        self._targets = {network.target(layer.index): layer.index for layer in network.layers}
        self._scale: dict[int, Array] = {}

    def run(self, rows: Array) -> Sweep:
        """Sweep rows `(n, *input_shape)` of the network's own type."""
        network = self._network
        last_use = {name: position for position, step in enumerate(network.steps) for name in step.inputs}
        live = {network.input: self._start(rows)}
        states: list[Array | None] = []
        values: dict[str, Array] = {network.input: rows}
        arrivals: dict[tuple[int, int], Arrival] = {}
        ties = np.zeros(len(rows), bool)
        for position, step in enumerate(network.steps):
            inputs = [live[name] for name in step.inputs]
            primal = [x.primal[0] for x in inputs]
            states.append(step.operator.linearise(*primal))
            tied = step.operator.ties(*primal)
            if tied is not None:
                ties |= tied
            result = self._advance(step, states[-1], inputs)
            # Measured before the layer's own noise joins: what arrives at i comes from layers before i.
            if step.output in self._targets:
                arrivals |= self._arrivals(result, self._targets[step.output])
            if step.output in self._sources:
                result = self._inject(self._sources[step.output], result)
            live[step.output] = result
            if step.output in self._keep:
                values[step.output] = result.primal[0]
            # A tensor with all its streams is what fills memory: it goes at its last use.
            for name in step.inputs:
                if last_use[name] == position:
                    live.pop(name, None)
        return Sweep(arrivals, tuple(states), values, ties)

    def _start(self, rows: Array) -> Streams:
        none = np.empty((0, *rows.shape), rows.dtype)
        return Streams((), rows[None], none, none, none)

    def _advance(self, step: Step, state: Array | None, inputs: list[Streams]) -> Streams:
        """Every stream through one operator."""
        operator = step.operator
        aligned = self._align(inputs)  # where branches meet, stream k of each has to come from one source and probe
        x = tuple(streams.primal[0] for streams in aligned)
        tangents = tuple(streams.tangents for streams in aligned)
        residuals = tuple(streams.residuals for streams in aligned)
        signals = tuple(streams.signals for streams in aligned)
        return Streams(
            aligned[0].sources,
            operator.act(*x)[None],
            operator.jvp(state, *tangents),
            operator.residual(state, x, tangents, residuals),
            operator.jvp(state, *signals),
        )

    def _align(self, inputs: list[Streams]) -> list[Streams]:
        """Inputs with the same sources, zero streams put in where a source does not reach an input."""
        if len({streams.sources for streams in inputs}) == 1:
            return inputs
        sources = tuple(sorted({source for streams in inputs for source in streams.sources}))

        def spread(values: Array, own: tuple[int, ...], per_source: int) -> Array:
            result = np.zeros((len(sources) * per_source, *values.shape[1:]), values.dtype)
            for position, source in enumerate(own):
                to = sources.index(source) * per_source
                result[to : to + per_source] = values[position * per_source : (position + 1) * per_source]
            return result

        return [
            Streams(
                sources,
                streams.primal,
                spread(streams.tangents, streams.sources, self._probes),
                spread(streams.residuals, streams.sources, self._probes),
                spread(streams.signals, streams.sources, int(self._signals)),
            )
            for streams in inputs
        ]

    def _inject(self, layer: Layer, streams: Streams) -> Streams:
        """Add the noise of a layer to the streams at its output x^i."""
        x = streams.primal[0]
        length = np.sqrt(squared_norms(x, 1))
        # A row with x^i = 0 has no relative noise; unit noise keeps its Jacobian measurable.
        length[length == 0] = 1.0
        per_row = (-1, *(1,) * (x.ndim - 1))
        noise = np.empty_like(streams.tangents, shape=(self._probes, *x.shape))
        scale = np.empty((self._probes, len(x)))
        for probe in range(self._probes):
            g = self._noise(layer, probe)
            scale[probe] = 1.0 if self._radius is None else self._radius * length / np.sqrt(squared_norms(g, 1))
            np.multiply(g, scale[probe].reshape(per_row).astype(x.dtype), out=noise[probe])
        self._scale[layer.index] = scale
        signals = [streams.signals, x[None]] if self._signals else [streams.signals]
        return Streams(
            (*streams.sources, layer.index),
            streams.primal,
            np.concatenate([streams.tangents, noise]),
            np.concatenate([streams.residuals, np.zeros_like(noise)]),
            np.concatenate(signals),
        )

    def _arrivals(self, streams: Streams, target: int) -> dict[tuple[int, int], Arrival]:
        """Norms of every stream at a target."""
        result = {}
        for position, source in enumerate(streams.sources):
            if source >= target:
                continue
            mine = slice(position * self._probes, (position + 1) * self._probes)
            # The estimate of |J|_F takes standard normal g, and what was sent is eta = scale g.
            tangents = squared_norms(streams.tangents[mine], 2) / self._scale[source] ** 2
            residuals, signal = streams.residuals[mine], None
            if self._signals:
                signal = squared_norms(streams.signals[position], 1)
                # In the linear form the deviation is M(x + eta) - J (x + eta), and that is w + M(x) - J x.
                residuals = residuals + (streams.primal - streams.signals[position])
            result[source, target] = Arrival(tangents, squared_norms(residuals, 2), signal)
        return result
