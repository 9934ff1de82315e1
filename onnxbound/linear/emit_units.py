"""Write the products of unit vectors with a Jacobian as ONNX: every row of it, or every column."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import upstream
from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.operator import Array


@dataclass(frozen=True, slots=True)
class UnitStreams:
    """Products with the Jacobian, in a graph that holds the linearisation of each step.

    Attributes:
        network: Cast to float32.
        emitter: Emitter of the graph.
        states: Per step, the name of the tensor that its linearisation needs, such as a mask.
        rows: The tensor whose first axis is the batch.
    """

    network: Network
    emitter: Emitter
    states: Sequence[str]
    rows: str

    def sent_back(self, start: str, units: Array, wanted: Collection[str]) -> dict[str, Value]:
        """Pull cotangents `(s, *shape)` at a tensor back to those of `wanted` upstream of it, last first."""
        return self.pulled_back(start, self._at_every_row(units), len(units), wanted)

    def pulled_back(self, start: str, cotangents: Value, streams: int, wanted: Collection[str]) -> dict[str, Value]:
        """The same of cotangents `(s, n, *shape)` that are in the graph."""
        network, e, live = self.network, self.emitter, {start: cotangents}
        downstream, arrived = network.downstream(wanted), {}
        for step, state in zip(reversed(network.steps), reversed(self.states), strict=True):
            c = live.pop(step.output, None)
            if c is None:
                continue
            if step.output in wanted:
                arrived[step.output] = c
            if downstream.isdisjoint(step.inputs):  # before the first tensor that is wanted
                continue
            shapes = tuple(network.shapes[name] for name in step.inputs)
            gradients = step.operator.emit_vjp(e, state, streams, c, *shapes)
            for name, gradient in zip(step.inputs, gradients, strict=True):
                known = live.get(name)  # where branches part, the cotangents that come back along them add up
                live[name] = (
                    gradient if known is None else Value(e.node("Add", known.name, gradient.name), gradient.shape)
                )
        return arrived

    def sent_forward(self, start: str, units: Array, wanted: Collection[str]) -> dict[str, Value]:
        """Push tangents `(s, *shape)` at a tensor forward to those of `wanted` downstream of it."""
        network, e, live = self.network, self.emitter, {start: self._at_every_row(units)}
        needed = upstream(network, wanted)
        for step, state in zip(network.steps, self.states, strict=True):
            if step.output == start or step.output not in needed or live.keys().isdisjoint(step.inputs):
                continue
            t = [live[name] if name in live else self._zeros(name, live[start]) for name in step.inputs]
            live[step.output] = step.operator.emit_jvp(e, state, len(units), *t)
        return {name: live[name] for name in wanted if name in live}

    def _at_every_row(self, units: Array) -> Value:
        e, shape = self.emitter, units.shape[1:]
        batch = e.node("Shape", self.rows, start=0, end=1)
        full = e.node("Concat", e.integers(len(units)), batch, e.integers(*shape), axis=0)
        return Value(e.node("Expand", e.constant(units[:, None]), full), shape)

    def _zeros(self, name: str, like: Value) -> Value:
        """As many streams at a tensor that is not downstream of where they start."""
        e, shape = self.emitter, self.network.shapes[name]
        leading = e.node("Shape", like.name, start=0, end=2)
        return Value(e.node("ConstantOfShape", e.node("Concat", leading, e.integers(*shape), axis=0)), shape)
