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
from onnxbound.linear.emit_units import UnitStreams
from onnxbound.linear.jacobian_norm import ExactPlan, combs, plan_exact_pairs
from onnxbound.linear.observation import observed
from onnxbound.linear.programme import Programme
from onnxbound.operators.emitter import Emitter, Value
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
    primal: Value
    moving: Mapping[str, Value] = field(default_factory=dict)


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
        self._states: list[str] = []
        self._units = UnitStreams(network, self._e, self._states, ROWS)
        self._sources: dict[int, tuple[int, ...]] = {}
        self._layers = {layer.output: layer for layer in network.layers}
        self._targets = {network.target(layer.index): layer.index for layer in network.layers}
        self._per_source = {"tangents": programme.probes, "residuals": programme.probes}
        if programme.form == "linear":
            self._per_source["signals"] = 1

    def write(self) -> tuple[ModelProto, Emission]:
        network, watched = self._network, observed(self._network)
        live = {network.input: EmittedStreams((), Value(ROWS, network.input_shape))}
        ties: list[str] = []
        if network.input in watched:
            self._output(squared_name(network.input), self._squared(live[network.input].primal), "n")
        for step in network.steps:
            inputs = self._align([live[name] for name in step.inputs])
            ties += self._ties(step, inputs)
            result = self._advance(step, inputs)
            if step.output in watched:
                self._output(squared_name(step.output), self._squared(result.primal), "n")
            # Before the layer's own noise joins: what arrives at i comes from layers before i.
            if step.output in self._targets:
                self._arrive(self._targets[step.output], result)
            layer = self._layers.get(step.output)
            live[step.output] = result if layer is None else self._behind(layer, result)
        logits = live[network.output].primal
        self._output(LOGITS, logits.name, "n", network.classes)
        if ties:
            self._output(TIES, self._e.node("Max", *ties), "n")
        reached = self._output_jacobians() if self._programme.exact_output else ()
        plan = plan_exact_pairs(network, self._programme)
        self._exact_pairs(plan)
        weights: dict[str, Array] = {}
        return self._model(weights), Emission(self._sources, reached, plan.pairs, weights)

    def _model(self, weights: dict[str, Array]) -> ModelProto:
        network = self._network
        inputs = [helper.make_tensor_value_info(ROWS, TensorProto.FLOAT, ["n", *network.input_shape])]
        for layer in network.layers[:-1]:
            shape: list[int | str] = [self._programme.probes, "n", prod(layer.output_shape)]
            inputs.append(helper.make_tensor_value_info(noise_name(layer.index), TensorProto.UINT16, shape))
        return self._e.model(inputs, self._outputs, weights)

    def _output(self, name: str, tensor: str, *shape: int | str) -> None:
        """Make a tensor an output, in float64 but for what is taken as it is."""
        as_it_is = name in (LOGITS, TIES)
        self._e.rename(tensor if as_it_is else self._e.double(tensor), name)
        kind = TensorProto.FLOAT if as_it_is else TensorProto.DOUBLE
        self._outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))

    def _squared(self, t: Value, *, streams: bool = False) -> str:
        """|t|^2 per row, (n,) or (s, n), float64; the squares of a channel are added in float32, channels in float64.

        Args:
            t: The tensor.
            streams: Whether an axis of streams stands before the batch.
        """
        e, first = self._e, 2 if streams else 1
        last = first + len(t.shape)
        if len(t.shape) <= 1:
            axes = range(first, last)
            return (
                e.node("ReduceSumSquare", e.double(t.name), e.integers(*axes), keepdims=0) if axes else self._square(t)
            )
        # Only sums of channels become float64: of the whole tensor that would be a copy of twice its size.
        part = e.node("ReduceSumSquare", t.name, e.integers(*range(first + 1, last)), keepdims=0)
        return e.node("ReduceSum", e.double(part), e.integers(first), keepdims=0)

    def _square(self, t: Value) -> str:
        wide = self._e.double(t.name)
        return self._e.node("Mul", wide, wide)

    def _ties(self, step: Step, inputs: list[EmittedStreams]) -> list[str]:
        """Whether a gate of the step has no derivative at a row, as 0 or 1, (n,)."""
        e, found = self._e, step.operator.emit_ties(self._e, *(x.primal for x in inputs))
        if not found:
            return []
        # ReduceMax takes no booleans before opset 20.
        flags = e.node("Cast", found, to=TensorProto.FLOAT)
        rank = len(self._network.shapes[step.output])
        return [e.node("ReduceMax", flags, e.integers(*range(1, rank + 1)), keepdims=0)]

    def _advance(self, step: Step, inputs: list[EmittedStreams]) -> EmittedStreams:
        """Every stream through one operator."""
        e, operator = self._e, step.operator
        x = tuple(streams.primal for streams in inputs)
        state = operator.emit_linearise(e, *x)
        self._states.append(state)
        sources, count = inputs[0].sources, len(inputs[0].sources)
        primal = operator.emit_act(e, *x)
        if not sources:
            return EmittedStreams((), primal)
        probes = count * self._programme.probes
        t, w = (tuple(streams.moving[kind] for streams in inputs) for kind in ("tangents", "residuals"))
        moving = {
            "tangents": operator.emit_jvp(e, state, probes, *t),
            "residuals": operator.emit_residual(e, state, probes, x, t, w),
        }
        if "signals" in self._per_source:
            moving["signals"] = operator.emit_jvp(e, state, count, *(streams.moving["signals"] for streams in inputs))
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

    def _spread(self, streams: EmittedStreams, kind: str, sources: tuple[int, ...]) -> Value:
        e, per_source = self._e, self._per_source[kind]
        own: dict[int, str] = {}
        if len(streams.sources) == 1:
            own = {streams.sources[0]: streams.moving[kind].name}
        elif streams.sources:
            lengths = e.integers(*(per_source,) * len(streams.sources))
            parts = e.outputs(len(streams.sources), "Split", streams.moving[kind].name, lengths, axis=0)
            own = dict(zip(streams.sources, parts, strict=True))
        zeros = self._zeros(streams.primal, per_source)
        return Value(e.node("Concat", *(own.get(s, zeros) for s in sources), axis=0), streams.primal.shape)

    def _zeros(self, like: Value, streams: int) -> str:
        e = self._e
        # The number of rows is not known when the graph is written, so the zeros take their shape from the value.
        return e.node("ConstantOfShape", e.node("Concat", e.integers(streams), e.node("Shape", like.name), axis=0))

    def _behind(self, layer: Layer, streams: EmittedStreams) -> EmittedStreams:
        """Behind a layer but the last its own streams join: the noise, no deviation yet, and x^i as a signal."""
        e, x, probes = self._e, streams.primal, self._programme.probes
        if self._programme.form == "linear":
            self._output(without_bias_name(layer.index), self._squared(self._less_bias(layer, x)), "n")
        if layer.index == self._network.depth:
            return streams
        # Of each entry of the noise two bytes come in, its place among the quantiles; the runtime looks it up.
        place = e.node("Cast", noise_name(layer.index), to=TensorProto.INT32)
        quantiles = e.node("Gather", e.constant(normal_quantiles()), place)
        g = Value(e.reshape(quantiles, probes, -1, *x.shape), x.shape)
        length = e.node("Sqrt", self._squared(x))
        none = e.node("Equal", length, e.double(e.number(0)))
        # A row with x^i = 0 has no relative noise; unit noise keeps its Jacobian measurable.
        length = e.node("Where", none, e.double(e.number(1)), length)
        share = e.node("Div", length, e.node("Sqrt", self._squared(g, streams=True)))
        scale = e.node("Mul", share, e.constant(np.array(self._programme.radius)))
        self._output(scale_name(layer.index), scale, probes, "n")
        factor = e.reshape(e.node("Cast", scale, to=TensorProto.FLOAT), probes, -1, *(1,) * len(x.shape))
        joining = {
            "tangents": e.node("Mul", g.name, factor),
            "residuals": self._zeros(x, probes),
            "signals": e.reshape(x.name, 1, -1, *x.shape),
        }
        moving = {}
        for kind in self._per_source:
            parts = [streams.moving[kind].name] if streams.sources else []
            moving[kind] = Value(e.node("Concat", *parts, joining[kind], axis=0), x.shape)
        return EmittedStreams((*streams.sources, layer.index), x, moving)

    def _less_bias(self, layer: Layer, x: Value) -> Value:
        """A^i a^i."""
        e, bias = self._e, layer.operator.bias
        if bias is None:
            return x
        behind = len(x.shape) - 1 if layer.operator.channel_axis == 1 else 0
        return Value(e.node("Sub", x.name, e.reshape(e.constant(bias), -1, *(1,) * behind)), x.shape)

    def _arrive(self, target: int, streams: EmittedStreams) -> None:
        """Norms of every stream at a target."""
        e, count, probes = self._e, len(streams.sources), self._programme.probes
        if not count or (self._programme.output_only and target != self._network.depth):
            return
        self._sources[target] = streams.sources
        residuals, shape = streams.moving["residuals"], streams.primal.shape
        if "signals" in streams.moving:
            signals = streams.moving["signals"]
            self._output(stream_name("signals", target), self._squared(signals, streams=True), count, "n")
            # In the linear form the deviation is M(x + eta) - J (x + eta), and that is w + M(x) - J x.
            missing = e.reshape(e.node("Sub", streams.primal.name, signals.name), count, 1, -1, *shape)
            apart = e.node("Add", e.reshape(residuals.name, count, probes, -1, *shape), missing)
            residuals = Value(e.reshape(apart, count * probes, -1, *shape), shape)
        for kind, values in (("tangents", streams.moving["tangents"]), ("residuals", residuals)):
            self._output(stream_name(kind, target), self._squared(values, streams=True), count * probes, "n")

    def _output_jacobians(self) -> tuple[int, ...]:
        """One cotangent per class, sent back to every layer."""
        units, earlier = np.eye(self._network.classes, dtype=np.float32), self._network.layers[:-1]
        arrived = self._units.sent_back(self._network.output, units, [layer.output for layer in earlier])
        for tensor, c in arrived.items():
            self._per_pixel(self._layers[tensor], c)
        return tuple(self._layers[tensor].index for tensor in arrived)

    def _exact_pairs(self, plan: ExactPlan) -> None:
        """Every row of J sent back, or every column forward, to the pairs of a plan."""
        network, streams = self._network, self._units
        for target, spacing in plan.targets.items():
            name = network.target(target)
            sources = {network.layers[i - 1].output: i for i in plan.sources_of(target)}
            units = combs(network.shapes[name], spacing, 0, prod(spacing))
            for tensor, c in streams.sent_back(name, units, sources).items():
                self._pair(sources[tensor], target, c)
        for source, spacing in plan.sources.items():
            layer = network.layers[source - 1]
            targets = {network.target(j): j for j in plan.targets_of(source)}
            units = combs(layer.output_shape, spacing, 0, prod(spacing))
            for tensor, t in streams.sent_forward(layer.output, units, targets).items():
                self._pair(source, targets[tensor], t)

    def _pair(self, source: int, target: int, products: Value) -> None:
        e = self._e
        total = e.node("ReduceSum", self._squared(products, streams=True), e.integers(0), keepdims=0)
        self._output(pair_name(source, target), total, "n")

    def _per_pixel(self, layer: Layer, c: Value) -> None:
        """|J|_F^2 of a layer, and the largest of its parts per pixel, from the cotangents (K, n, *shape) at it."""
        e = self._e
        channels = 2 if layer.operator.channel_axis == 1 else 1 + len(c.shape)
        parts = e.node("ReduceSumSquare", c.name, e.integers(0, channels), keepdims=0)
        per_pixel = e.double(e.reshape(parts, -1, layer.positions))
        for kind, op in (("squared", "ReduceSum"), ("largest pixel", "ReduceMax")):
            self._output(output_name(kind, layer.index), e.node(op, per_pixel, e.integers(1), keepdims=0), "n")
