"""Write a programme over a network as one ONNX graph, which computes the norms that the NumPy sweep computes.

Only norms leave the graph, so a batch costs one run on any device. Streams are laid out as in
`sweep`: `(s, n, *shape)`, source-major, and join where the noise of their layer enters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from onnxbound.graph.network import Layer, Network, Step
from onnxbound.linear.jacobian_norm import ExactPlan, combs, plan_exact_pairs
from onnxbound.linear.linearisation import Linearisation
from onnxbound.linear.observation import observed
from onnxbound.linear.programme import Programme
from onnxbound.linear.row_norms import pixel_squared_norms, squared_norms
from onnxbound.operators.calculus import Symbol, Tensor, concatenate, split, take, where
from onnxbound.operators.emitter import Emitter
from onnxbound.operators.shape import Array
from onnxbound.rng import normal_quantiles

ROWS = "rows"
LOGITS = "logits"
TIES = "ties"


noise_name = "noise/{}".format
"""Input of a layer: numbers of normal quantiles, uint16, (probes, n, entries of x^i)."""
scale_name = "scale/{}".format
"""Output of a layer: |eta| / |g|, (probes, n)."""
squared_name = "squared/{}".format
"""Output of a tensor: |tensor|^2, (n,)."""
without_bias_name = "without bias/{}".format
"""Output of a layer: |A^i a^i|^2, (n,)."""
stream_name = "{}/{}".format
"""Output of a kind and a target: squared norms of the tangents, residuals or signals that arrive, (streams, n)."""
output_name = "output {}/{}".format
"""Output of a kind and a layer: |J|_F^2 to the logits, or the largest of its parts per pixel, (n,)."""
pair_name = "pair {}/{}".format
"""Output of a pair whose one side is small: |J|_F^2, (n,)."""


@dataclass(frozen=True, slots=True)
class Emission:
    """What the outputs of a programme's model mean.

    Attributes:
        sources: Target layer to the layers whose streams arrive there, in order.
        reached: Layers from which a path leads to the logits, where those Jacobians are exact.
        exact: Other pairs whose Jacobian is exact.
        weights: Large constants that the model mentions and does not contain, by name.
    """

    sources: Mapping[int, tuple[int, ...]]
    reached: tuple[int, ...]
    exact: frozenset[tuple[int, int]]
    weights: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class EmittedStreams:
    """A tensor and what arrives with it; no tensors of streams where there are no sources.

    Attributes:
        sources: Upstream layers, ascending.
        primal: The value, (n, *shape).
        moving: Tangents, residuals, and signals in the linear form, by kind.
    """

    sources: tuple[int, ...]
    primal: Tensor
    moving: Mapping[str, Tensor] = field(default_factory=dict)


def emit(network: Network, programme: Programme) -> tuple[ModelProto, Emission]:
    """Write a programme.

    Args:
        network: Cast to float32.
        programme: What to measure.

    Returns:
        The model, whose inputs are the rows and the noise of every layer but the last, and what its outputs mean.
    """
    return _Writer(network, programme).write()


class _Writer:
    """Walks through the network once forward, and once more for every exact Jacobian."""

    def __init__(self, network: Network, programme: Programme) -> None:
        self._network = network
        self._programme = programme
        self._e = Emitter()
        self._outputs: list[ValueInfoProto] = []
        self._states: list[Tensor] = []
        self._sources: dict[int, tuple[int, ...]] = {}
        self._layers = {layer.output: layer for layer in network.layers}
        self._targets = {network.target(layer.index): layer.index for layer in network.layers}
        self._per_source = {"tangents": programme.probes, "residuals": programme.probes}
        if programme.form == "linear":
            self._per_source["signals"] = 1

    def write(self) -> tuple[ModelProto, Emission]:
        network, watched = self._network, observed(self._network)
        rows = Symbol(self._e, ROWS, (-1, *network.input_shape))
        live = {network.input: EmittedStreams((), rows)}
        ties: list[Tensor] = []
        if network.input in watched:
            self._output(squared_name(network.input), squared_norms(rows, 1))
        for step in network.steps:
            inputs = self._align([live[name] for name in step.inputs])
            tied = step.operator.ties(*(x.primal for x in inputs))
            ties += [] if tied is None else [tied]
            result = self._advance(step, inputs)
            if step.output in watched:
                self._output(squared_name(step.output), squared_norms(result.primal, 1))
            # Before the layer's own noise joins: what arrives at i comes from layers before i.
            if step.output in self._targets:
                self._arrive(self._targets[step.output], result)
            layer = self._layers.get(step.output)
            live[step.output] = result if layer is None else self._behind(layer, result)
        self._output(LOGITS, live[network.output].primal)
        if ties:
            self._output(TIES, ties[0].apply("Max", *ties[1:]))
        at = Linearisation(network, tuple(self._states))
        reached = self._output_jacobians(at) if self._programme.exact_output else ()
        plan = plan_exact_pairs(network, self._programme)
        self._exact_pairs(at, plan)
        weights: dict[str, Array] = {}
        return self._model(weights), Emission(self._sources, reached, plan.pairs, weights)

    def _model(self, weights: dict[str, Array]) -> ModelProto:
        network = self._network
        inputs = [helper.make_tensor_value_info(ROWS, TensorProto.FLOAT, ["n", *network.input_shape])]
        for layer in network.layers[:-1]:
            shape: list[int | str] = [self._programme.probes, "n", prod(layer.output_shape)]
            inputs.append(helper.make_tensor_value_info(noise_name(layer.index), TensorProto.UINT16, shape))
        return self._e.model(inputs, self._outputs, weights)

    def _output(self, name: str, tensor: Symbol) -> None:
        """Make a tensor an output."""
        self._e.rename(tensor.name, name)
        kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
        lengths = ["n" if length < 0 else length for length in tensor.shape]
        self._outputs.append(helper.make_tensor_value_info(name, kind, lengths))

    def _advance(self, step: Step, inputs: list[EmittedStreams]) -> EmittedStreams:
        """Every stream through one operator."""
        operator, sources = step.operator, inputs[0].sources
        x = tuple(streams.primal for streams in inputs)
        state = operator.linearise(*x)
        self._states.append(state)
        primal = operator.act(*x)
        if not sources:
            return EmittedStreams((), primal)
        t, w = (tuple(streams.moving[kind] for streams in inputs) for kind in ("tangents", "residuals"))
        moving = {"tangents": operator.jvp(state, *t), "residuals": operator.residual(state, x, t, w)}
        if "signals" in self._per_source:
            moving["signals"] = operator.jvp(state, *(streams.moving["signals"] for streams in inputs))
        return EmittedStreams(sources, primal, moving)

    def _align(self, inputs: list[EmittedStreams]) -> list[EmittedStreams]:
        """Inputs with the same sources, zero streams put in where a source does not reach an input."""
        if len({streams.sources for streams in inputs}) == 1:
            return inputs
        sources = tuple(sorted({source for streams in inputs for source in streams.sources}))
        return [
            EmittedStreams(
                sources, streams.primal, {kind: self._spread(streams, kind, sources) for kind in self._per_source}
            )
            for streams in inputs
        ]

    def _spread(self, streams: EmittedStreams, kind: str, sources: tuple[int, ...]) -> Tensor:
        per_source = self._per_source[kind]
        own: dict[int, Tensor] = {}
        if len(streams.sources) == 1:
            own = {streams.sources[0]: streams.moving[kind]}
        elif streams.sources:
            parts = split(streams.moving[kind], (per_source,) * len(streams.sources), 0)
            own = dict(zip(streams.sources, parts, strict=True))
        zeros = self._zeros(streams.primal, per_source)
        return concatenate([own.get(source, zeros) for source in sources], 0)

    def _zeros(self, like: Symbol, streams: int) -> Symbol:
        e = self._e
        # The number of rows is not known when the graph is written, so the zeros take their shape from the value.
        shape = e.node("Concat", e.integers(streams), e.node("Shape", like.name), axis=0)
        return Symbol(e, e.node("ConstantOfShape", shape), (streams, *like.shape))

    def _behind(self, layer: Layer, streams: EmittedStreams) -> EmittedStreams:
        """Behind a layer but the last its own streams join: the noise, no deviation yet, and x^i as a signal."""
        e, x, probes = self._e, streams.primal, self._programme.probes
        if self._programme.form == "linear":
            self._output(without_bias_name(layer.index), squared_norms(layer.operator.without_shift(x), 1))
        if layer.index == self._network.depth:
            return streams
        # Of each entry of the noise two bytes come in, its place among the quantiles; the runtime looks it up.
        words = Symbol(e, noise_name(layer.index), (probes, -1, prod(layer.output_shape)), np.dtype(np.uint16))
        g = take(normal_quantiles(), words.astype(np.int32)).reshape(probes, *x.shape)
        length = np.sqrt(squared_norms(x, 1))
        # A row with x^i = 0 has no relative noise; unit noise keeps its Jacobian measurable.
        length = where(length == 0, 1.0, length)
        scale = length / np.sqrt(squared_norms(g, 2)) * self._programme.radius
        self._output(scale_name(layer.index), scale)
        joining = {
            "tangents": g * scale.astype(np.float32).reshape(probes, -1, *(1,) * (x.ndim - 1)),
            "residuals": self._zeros(x, probes),
            "signals": x.reshape(1, *x.shape),
        }
        moving = {
            kind: concatenate([*([streams.moving[kind]] if streams.sources else []), joining[kind]], 0)
            for kind in self._per_source
        }
        return EmittedStreams((*streams.sources, layer.index), x, moving)

    def _arrive(self, target: int, streams: EmittedStreams) -> None:
        """Norms of every stream at a target."""
        count, probes = len(streams.sources), self._programme.probes
        if not count or (self._programme.output_only and target != self._network.depth):
            return
        self._sources[target] = streams.sources
        arriving = dict(streams.moving)
        if "signals" in arriving:
            signals, residuals, x = arriving["signals"], arriving["residuals"], streams.primal
            # In the linear form the deviation is M(x + eta) - J (x + eta), and that is w + M(x) - J x.
            missing = (x - signals).reshape(count, 1, *x.shape)
            apart = residuals.reshape(count, probes, *x.shape) + missing
            arriving["residuals"] = apart.reshape(*residuals.shape)
        for kind, values in arriving.items():
            self._output(stream_name(kind, target), squared_norms(values, 2))

    def _output_jacobians(self, at: Linearisation) -> tuple[int, ...]:
        """One cotangent per class, sent back to every layer: |J|_F^2, and the largest of its parts per pixel."""
        units = self._at_every_row(np.eye(self._network.classes, dtype=np.float32))
        reached = []
        for tensor, c in at.vjp(self._network.output, units, [*self._layers][:-1]).items():
            layer = self._layers[tensor]
            per_pixel = pixel_squared_norms(c, layer.operator.channel_axis)
            self._output(output_name("squared", layer.index), per_pixel.sum(axis=1))
            self._output(output_name("largest pixel", layer.index), per_pixel.reduce("ReduceMax", 1))
            reached.append(layer.index)
        return tuple(reached)

    def _exact_pairs(self, at: Linearisation, plan: ExactPlan) -> None:
        """Every row of J sent back, or every column forward, to the pairs of a plan."""
        network = self._network
        for target, spacing in plan.targets.items():
            name = network.target(target)
            wanted = {network.layers[i - 1].output: i for i in plan.sources_of(target)}
            units = self._at_every_row(combs(network.shapes[name], spacing, 0, prod(spacing)))
            for tensor, c in at.vjp(name, units, wanted).items():
                self._output(pair_name(wanted[tensor], target), squared_norms(c, 2).sum(axis=0))
        for source, spacing in plan.sources.items():
            layer = network.layers[source - 1]
            wanted = {network.target(j): j for j in plan.targets_of(source)}
            units = self._at_every_row(combs(layer.output_shape, spacing, 0, prod(spacing)))
            for tensor, t in at.jvp(layer.output, units, wanted).items():
                self._output(pair_name(source, wanted[tensor]), squared_norms(t, 2).sum(axis=0))

    def _at_every_row(self, units: Array) -> Tensor:
        """Streams `(s, *shape)` as `(s, n, *shape)`."""
        e, shape = self._e, units.shape[1:]
        rows = e.node("Shape", ROWS, start=0, end=1)
        full = e.node("Concat", e.integers(len(units)), rows, e.integers(*shape), axis=0)
        return Symbol(e, e.node("Expand", e.constant(units[:, None]), full), (len(units), -1, *shape))
