"""Write unit vectors that are sent through the linearised network: every row of a Jacobian, or every column."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import upstream
from onnxbound.operators.emitter import Emitter, Value
from onnxbound.operators.operator import Array


@dataclass(frozen=True, slots=True)
class UnitStreams:
    """Products with J in a graph that holds the linearisation of each step.

    Attributes:
        network: Cast to float32.
        emitter: Of the graph.
        states: Per step, the name of what its linearisation remembers.
        rows: The tensor whose first axis is the batch.
    """

    network: Network
    emitter: Emitter
    states: Sequence[str]
    rows: str

    def sent_back(self, start: str, units: Array, wanted: Collection[str]) -> dict[str, Value]:
        """Cotangents `(s, *shape)` at a tensor, sent back to those of `wanted` that a path leads from, last first."""
        network, e, live = self.network, self.emitter, {start: self._at_every_row(units)}
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
            gradients = step.operator.emit_vjp(e, state, len(units), c, *shapes)
            for name, gradient in zip(step.inputs, gradients, strict=True):
                known = live.get(name)  # where branches part, the cotangents that come back along them add up
                live[name] = (
                    gradient if known is None else Value(e.node("Add", known.name, gradient.name), gradient.shape)
                )
        return arrived

    def sent_forward(self, start: str, units: Array, wanted: Collection[str]) -> dict[str, Value]:
        """Tangents `(s, *shape)` at a tensor, sent forward to those of `wanted` that a path leads to."""
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
