"""The gradient of a loss of the logits with respect to all weights and biases at once, by one onnxruntime graph.

The graph is the network, its linearisation and the way back, written by the operators as an engine's programme is. What
a weight is multiplied with is an input of the graph: networks that differ in their parameters alone share a session.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import Linearisation
from onnxbound.linear.threads import parts, side_by_side
from onnxbound.linear.values import all_values
from onnxbound.operators.calculus import Symbol, Tensor, concatenate, softmax
from onnxbound.operators.emitter import Emitter
from onnxbound.operators.operator import Array, join_streams
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.session import Runner

_ROWS, _WANTED, _HEAT = "rows", "wanted", "heat"
_PARTS = 4
"""Of a batch. They do not depend on the number of threads, and so neither does any result."""


class CrossEntropy:
    """The mean cross-entropy with wanted classes, of networks that differ in their parameters alone.

    Args:
        network: Any of them, cast to float32; every weight lies in memory as in those whose gradient is asked for.
        device: Where.
        threads: None for all cores; the result does not depend on them.
        views: In how many ways a network sees a row; its logits are the mean.
    """

    def __init__(self, network: Network, device: Device, threads: int | None, views: int = 1) -> None:
        self._threads = threads
        self._runner = Runner(_written(network, views), Path(), device, 1)

    def gradient(self, network: Network, views: Sequence[Array], wanted: Array, temperature: float) -> Float64Array:
        """Of the loss with logits over a temperature, in the order of `parameters`.

        Args:
            network: Cast to float32.
            views: The rows in each way, (n, *input_shape), float32.
            wanted: The share of each class in what is wanted of a row, (n, K).
            temperature: More than 0.

        Returns:
            (P,).
        """
        feeds = dict(_constants(network)) | {_HEAT: np.array([temperature], np.float32)}
        shares = wanted.astype(np.float32, copy=False)

        def part(where: slice) -> Float64Array:
            rows = np.concatenate([view[where] for view in views])
            found = self._runner.run(feeds | {_ROWS: rows, _WANTED: shares[where]})
            return np.concatenate([values.ravel() for values in found.values()]).astype(np.float64)

        found = side_by_side(part, parts(len(wanted), -(-len(wanted) // _PARTS)), self._threads)
        return np.asarray(sum(found[1:], start=found[0])) / len(wanted)


def parameters(network: Network) -> Float64Array:
    """Every layer's A^i and then its bias, in one vector (P,)."""
    parts = []
    for layer in network.layers:
        parts.append(layer.operator.effective_weight().ravel())
        if layer.operator.bias is not None:
            parts.append(layer.operator.bias)
    return np.concatenate(parts).astype(np.float64)


def in_turn(
    places: NDArray[np.int64], size: int, count: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """So many batches of rows in an order drawn at random, each row once before any comes again."""
    order = places[:0]
    for _ in range(count):
        if order.size < size:
            order = np.concatenate([order, generator.permutation(places)])
        yield order[:size]
        order = order[size:]


def gaps(logits: Float64Array) -> Float64Array:
    """By how much the largest logit of each row (n, K) exceeds the second, (n,)."""
    ordered = np.sort(logits, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def _written(network: Network, views: int) -> ModelProto:
    """The graph; its outputs stand in the order of the parameters."""
    e = Emitter()
    shapes: dict[str, list[int | str]] = {
        _ROWS: ["m", *network.input_shape],
        _WANTED: ["n", network.classes],
        _HEAT: [1],
    }
    for name, array in _constants(network):
        e.variable(name, array)
        shapes[name] = [*array.shape]
    values = all_values(network, Symbol(e, _ROWS, (-views, *network.input_shape)))
    states = tuple(step.operator.linearise(*(values[name] for name in step.inputs)) for step in network.steps)
    wanted, heat = Symbol(e, _WANTED, (-1, network.classes)), Symbol(e, _HEAT, (1,))
    logits = values[network.output].reshape(views, -1, network.classes).mean(axis=0)
    slope = (softmax(logits / heat, -1) - wanted) / (heat * views)
    cotangent = concatenate([slope] * views, 0).reshape(1, -1, network.classes)
    outputs, layers = [], {layer.output: layer for layer in network.layers}
    arrived = Linearisation(network, states).vjp(network.output, cotangent, layers)
    for layer in network.layers:
        operator, c = layer.operator, join_streams(arrived[layer.output])
        found: dict[str, Tensor] = {"weight": operator.weight_gradient(values[layer.input], c)}
        if operator.bias is not None:
            found["bias"] = c.sum(axis=tuple({*range(c.ndim)} - {operator.channel_axis % c.ndim}))
        for kind, tensor in found.items():
            e.rename(tensor.name, f"{kind} {layer.index}")
            outputs.append(helper.make_tensor_value_info(f"{kind} {layer.index}", TensorProto.FLOAT, None))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    return e.model(inputs, outputs)


def _constants(network: Network) -> Iterator[tuple[str, Array]]:
    """What the graph reads of the parameters, by name."""
    for layer in network.layers:
        for kind, values in layer.operator.emitted():
            yield f"{kind} of {layer.index}", values
