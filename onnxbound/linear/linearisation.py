"""A network linearised at the rows of one batch: Jacobian-vector and vector-Jacobian products by masks."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.network import Network
from onnxbound.operators.calculus import zeros
from onnxbound.operators.operator import Array


@dataclass(frozen=True, slots=True)
class Linearisation:
    """The Jacobian of every map between two tensors of a network, at n rows; of symbols, as nodes of their graph.

    A net of ReLUs is piecewise linear, so once the gates of a row are known its Jacobians are exact: a mask for Relu,
    the position of the maximum for MaxPool, a slope for LeakyRelu; all other operators act as they are, without bias.

    Attributes:
        network: Cast to the type of the rows.
        states: Per step, what its linearisation needs to know of the n rows, such as a mask.
    """

    network: Network
    states: tuple[Array | None, ...]

    def jvp(self, source: str, tangents: Array, targets: Collection[str]) -> dict[str, Array]:
        """J t for the map from `source` to each of `targets`; tensors not downstream of `source` are constant.

        Args:
            source: Tensor name.
            tangents: `(s, n, *shape of source)`.
            targets: Tensor names; those that no path leads to are missing from the result.
        """
        needed = upstream(self.network, targets)
        live = {source: tangents}
        for step, state in zip(self.network.steps, self.states, strict=True):
            if step.output == source or step.output not in needed or live.keys().isdisjoint(step.inputs):
                continue
            live[step.output] = step.operator.jvp(state, *self._with_zeros(live, step.inputs, tangents.shape[:2]))
        return {name: live[name] for name in targets if name in live}

    def vjp(self, target: str, cotangents: Array, sources: Collection[str]) -> dict[str, Array]:
        """J^T c for the maps from each of `sources` to `target`.

        Args:
            target: Tensor name.
            cotangents: `(s, n, *shape of target)`.
            sources: Tensor names; those from which no path leads to `target` are missing from the result.
        """
        needed = self.network.downstream(sources)
        live: dict[str, Array] = {target: cotangents}
        result: dict[str, Array] = {}
        for step, state in zip(reversed(self.network.steps), reversed(self.states), strict=True):
            c = live.pop(step.output, None)
            if c is None:
                continue
            if step.output in sources:
                result[step.output] = c
            if needed.isdisjoint(step.inputs):
                continue
            shapes = tuple(self.network.shapes[name] for name in step.inputs)
            for name, gradient in zip(step.inputs, step.operator.vjp(state, c, *shapes), strict=True):
                live[name] = live[name] + gradient if name in live else gradient
        return result | {name: live[name] for name in sources if name in live}

    def _with_zeros(self, live: Mapping[str, Array], names: tuple[str, ...], leading: tuple[int, ...]) -> list[Array]:
        """The tangents of all inputs of a step, zero where an input is not downstream of the source."""
        like = next(iter(live.values()))
        return [live[name] if name in live else zeros((*leading, *self.network.shapes[name]), like) for name in names]


def upstream(network: Network, targets: Collection[str]) -> set[str]:
    """The targets and every tensor from which a path leads to one of them."""
    reached = set(targets)
    for step in reversed(network.steps):
        if step.output in reached:
            reached.update(step.inputs)
    return reached


@dataclass(frozen=True, slots=True)
class Forward:
    """One forward pass.

    Attributes:
        values: Tensor name to value `(n, *shape)`, for the tensors that were asked for.
        linearisation: The network linearised at these rows.
        ties: Rows at which some gate or pool has no derivative, shape (n,).
    """

    values: Mapping[str, Array]
    linearisation: Linearisation
    ties: NDArray[np.bool_]


def linearise(network: Network, rows: Array, keep: Collection[str] = ()) -> Forward:
    """Run rows through the network and remember its gates.

    Args:
        network: Cast to the type of the rows.
        rows: `(n, *input_shape)`.
        keep: Tensors whose values are returned.
    """
    last_use = {name: position for position, step in enumerate(network.steps) for name in step.inputs}
    values = {network.input: rows}
    states: list[Array | None] = []
    ties = np.zeros(len(rows), bool)
    for position, step in enumerate(network.steps):
        inputs = [values[name] for name in step.inputs]
        states.append(step.operator.linearise(*inputs))
        tied = step.operator.ties(*inputs)
        if tied is not None:
            ties |= tied
        values[step.output] = step.operator.act(*inputs)
        for name in step.inputs:
            if last_use[name] == position and name not in keep and name != network.output:
                values.pop(name, None)
    return Forward({name: values[name] for name in keep}, Linearisation(network, tuple(states)), ties)
