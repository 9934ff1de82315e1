"""One forward sweep with the rows, the tangents of all probes and their deviations from linearity.

Tangents start at the output of each layer and join the batch there, so that one matrix product per layer serves every
probe of every earlier layer, and one sweep gives every pair i < j. The same noise serves |J|_F and smoothness.

Beside the tangent J eta, the sweep carries the deviation w = M(x + eta) - M(x) - J eta and not M(x + eta). It costs the
same, and the small number that smoothness needs is then never the difference of two large ones.

The sweep is the same for both engines: of arrays it computes (`numpy_sweep`), of symbols it writes a graph (`emit`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.row_norms import squared_norms
from onnxbound.operators.calculus import Symbol, Tensor, concatenate, split, zeros, zeros_like
from onnxbound.operators.operator import Operator


@dataclass(frozen=True, slots=True)
class Streams:
    """A tensor's value and its response to the noise of every upstream layer; streams are source-major.

    Attributes:
        sources: Upstream layers, ascending; each has one stream per probe.
        primal: The value, `(n, *shape)`.
        moving: By kind, where there are sources: "tangents" J eta, `(sources * probes, n, *shape)`; "residuals"
            M(x + eta) - M(x) - J eta, of the same shape; in the linear form "signals" J x^i, `(sources, n, *shape)`.
    """

    sources: tuple[int, ...]
    primal: Tensor
    moving: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of one sweep.

    Attributes:
        arrivals: What was measured at the targets, by a key of the engine's.
        states: Per step, what its linearisation needs to know of the rows.
        logits: (n, K).
        squared: |value|^2 of every tensor that was asked for, (n,).
        without_bias: Layer to |A^i a^i|^2, (n,), of those; empty in the affine form.
        ties: Rows at which a gate has no derivative, (n,), per step that can have any.
    """

    arrivals: Mapping[Any, Any]
    states: tuple[Tensor, ...]
    logits: Tensor
    squared: Mapping[str, Tensor]
    without_bias: Mapping[int, Tensor]
    ties: Sequence[Tensor]


class Sweeper(ABC):
    """Runs the sweep of one batch.

    Args:
        network: Cast to the type of the rows.
        probes: Noise vectors per layer and row.
        signals: Whether J x^i is carried, for the linear form.
        watched: Tensors whose norms are asked for.
        sources: 1-based layers at which noise starts; None for every layer but the last.
    """

    def __init__(
        self, network: Network, probes: int, *, signals: bool, watched: frozenset[str], sources: range | None = None
    ) -> None:
        self._network = network
        self._probes = probes
        self._per_source = {"tangents": probes, "residuals": probes} | ({"signals": 1} if signals else {})
        self._watched = watched
        self._layers = {layer.output: layer for layer in network.layers if signals}
        sources = range(1, network.depth) if sources is None else sources
        self._sources = {network.layers[i - 1].output: network.layers[i - 1] for i in sources}
        self._targets = {network.target(layer.index): layer.index for layer in network.layers}

    @abstractmethod
    def noise(self, layer: Layer, x: Tensor) -> Tensor:
        """What is added to x^i, the output of a layer: `(probes, n, *shape)`."""

    @abstractmethod
    def arrivals(self, target: int, streams: Streams) -> Mapping[Any, Any]:
        """Norms of every stream at a target, a layer."""

    def run(self, rows: Tensor) -> Sweep:
        """Sweep rows `(n, *input_shape)`."""
        network = self._network
        last_use = {name: position for position, step in enumerate(network.steps) for name in step.inputs}
        live = {network.input: Streams((), rows, {})}
        arrivals: dict[Any, Any] = {}
        states: list[Tensor] = []
        ties: list[Tensor] = []
        squared = {network.input: squared_norms(rows, 1)} if network.input in self._watched else {}
        without_bias = {}
        for position, step in enumerate(network.steps):
            inputs = [live[name] for name in step.inputs]
            primal = [x.primal for x in inputs]
            states.append(step.operator.linearise(*primal))
            tied = step.operator.ties(*primal)
            ties += [] if tied is None else [tied]
            result = self._advance(step.operator, states[-1], inputs)
            if step.output in self._watched:
                squared[step.output] = squared_norms(result.primal, 1)
                if step.output in self._layers:
                    layer = self._layers[step.output]
                    without_bias[layer.index] = squared_norms(layer.operator.without_shift(result.primal), 1)
            # Measured before the layer's own noise joins: what arrives at i comes from layers before i.
            if step.output in self._targets and result.sources:
                arrivals |= self.arrivals(self._targets[step.output], result)
            if step.output in self._sources:
                result = self._inject(self._sources[step.output], result)
            live[step.output] = result
            # A tensor with all its streams is what fills memory: it goes at its last use.
            for name in step.inputs:
                if last_use[name] == position and name != network.output:
                    live.pop(name, None)
        return Sweep(arrivals, tuple(states), live[network.output].primal, squared, without_bias, ties)

    def _advance(self, operator: Operator, state: Tensor, inputs: list[Streams]) -> Streams:
        """Every stream through one operator."""
        inputs = self._align(inputs)
        x = tuple(streams.primal for streams in inputs)
        primal, moving = operator.act(*x), {}
        if inputs[0].sources:
            of = {kind: tuple(streams.moving[kind] for streams in inputs) for kind in self._per_source}
            moving["tangents"] = operator.jvp(state, *of["tangents"])
            moving["residuals"] = operator.residual(state, x, of["tangents"], of["residuals"])
            if "signals" in of:
                moving["signals"] = operator.jvp(state, *of["signals"])
        return Streams(inputs[0].sources, primal, moving)

    def _align(self, inputs: list[Streams]) -> list[Streams]:
        """Inputs with the same sources, for where branches meet stream k of each has to come from one source and probe.

        Zero streams are put in where a source does not reach an input.
        """
        if len({streams.sources for streams in inputs}) == 1:
            return inputs
        sources = all_sources(inputs)
        return [
            Streams(sources, streams.primal, {kind: self._spread(kind, streams, sources) for kind in self._per_source})
            for streams in inputs
        ]

    def _spread(self, kind: str, streams: Streams, sources: tuple[int, ...]) -> Tensor:
        own, width, x = streams.sources, self._per_source[kind], streams.primal
        if isinstance(x, Symbol):
            parts = split(streams.moving[kind], (width,) * len(own), 0) if own else ()
            known, nothing = dict(zip(own, parts, strict=True)), zeros((width, *x.shape), x)
            return concatenate([known.get(source, nothing) for source in sources], 0)
        # Copied once into place: NumPy would join parts of different memory layouts in an order hard to foresee.
        result = np.zeros((len(sources) * width, *x.shape), x.dtype)
        for position, source in enumerate(own):
            to = sources.index(source) * width
            result[to : to + width] = streams.moving[kind][position * width : (position + 1) * width]
        return result

    def _inject(self, layer: Layer, streams: Streams) -> Streams:
        """Add the streams of a layer at its output x^i: the noise, no deviation yet, and x^i as a signal."""
        x, eta = streams.primal, self.noise(layer, streams.primal)
        joining = {"tangents": eta, "residuals": zeros_like(eta), "signals": x.reshape(1, *x.shape)}
        moving = {
            kind: concatenate([streams.moving[kind], joining[kind]] if streams.sources else [joining[kind]], 0)
            for kind in self._per_source
        }
        return Streams((*streams.sources, layer.index), x, moving)


def all_sources(inputs: Sequence[Streams]) -> tuple[int, ...]:
    """The layers whose streams arrive at one of the inputs, ascending."""
    return tuple(sorted({source for streams in inputs for source in streams.sources}))
