"""Write a programme over a network as one ONNX graph, which computes the norms that the NumPy sweep computes.

Only norms leave the graph, so a batch costs one run on any device.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import combs, exact_jacobians, plan_exact_pairs
from onnxbound.linear.linearisation import Linearisation
from onnxbound.linear.observation import observed
from onnxbound.linear.programme import Programme
from onnxbound.linear.row_norms import squared_norms
from onnxbound.linear.sweep import Streams, Sweeper
from onnxbound.operators.calculus import Symbol, Tensor, take, where
from onnxbound.operators.emitter import Emitter
from onnxbound.operators.shape import Array, Shape
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
pair_name = "pair {}/{}".format
"""Output of a pair: |J|_F^2, (n,)."""
largest_pixel_name = "largest pixel/{}".format
"""Output of a layer: the largest part of one pixel in |J|_F^2 to the logits, (n,)."""


@dataclass(frozen=True, slots=True)
class Emission:
    """What the outputs of a programme's model mean.

    Attributes:
        sources: Target layer to the layers whose streams arrive there, in order.
        exact: Pairs whose Jacobian is exact.
        pixels: Layers whose pixels are told apart in the Jacobian to the logits.
        weights: Large constants that the model mentions and does not contain, by name.
    """

    sources: Mapping[int, tuple[int, ...]]
    exact: tuple[tuple[int, int], ...]
    pixels: tuple[int, ...]
    weights: Mapping[str, Array]


def emit(network: Network, programme: Programme, *, half: bool = False) -> tuple[ModelProto, Emission]:
    """Write a programme.

    Args:
        network: Cast to float32.
        programme: What to measure.
        half: Whether tangents and deviations are multiplied by weights in half precision. Values, and so gates and
            noise, and exact Jacobians stay in float32.

    Returns:
        The model, whose inputs are the rows and the noise of every layer but the last, and what its outputs mean.
    """
    writer = _Writer(network, programme, Emitter(half=half))
    sweep = writer.run(Symbol(writer.e, ROWS, (-1, *network.input_shape)))
    writer.output(LOGITS, sweep.logits)
    for name, squared in sweep.squared.items():
        writer.output(squared_name(name), squared)
    for index, squared in sweep.without_bias.items():
        writer.output(without_bias_name(index), squared)
    if sweep.ties:
        writer.output(TIES, sweep.ties[0].apply("Max", *sweep.ties[1:]))
    at, plan = Linearisation(network, sweep.states), plan_exact_pairs(network, programme)
    exact = exact_jacobians(at, plan, writer.units, output=programme.exact_output)
    for pair, squared in exact.squared.items():
        writer.output(pair_name(*pair), squared)
    for index, largest in exact.largest_pixel.items():
        writer.output(largest_pixel_name(index), largest)
    weights: dict[str, Array] = {}
    return writer.model(weights), Emission(sweep.arrivals, tuple(exact.squared), tuple(exact.largest_pixel), weights)


class _Writer(Sweeper):
    """Sweeps symbols: its noise comes in as numbers of quantiles, and every norm is an output."""

    def __init__(self, network: Network, programme: Programme, e: Emitter) -> None:
        super().__init__(network, programme.probes, signals=programme.form == "linear", watched=observed(network))
        self.e = e
        self._programme = programme
        self._outputs: list[ValueInfoProto] = []

    def model(self, weights: dict[str, Array]) -> ModelProto:
        """Everything so far; large constants go to `weights`."""
        network = self._network
        inputs = [helper.make_tensor_value_info(ROWS, TensorProto.FLOAT, ["n", *network.input_shape])]
        for layer in network.layers[:-1]:
            shape: list[int | str] = [self._probes, "n", prod(layer.output_shape)]
            inputs.append(helper.make_tensor_value_info(noise_name(layer.index), TensorProto.UINT16, shape))
        return self.e.model(inputs, self._outputs, weights)

    def output(self, name: str, tensor: Symbol) -> None:
        """Make a tensor an output."""
        self.e.rename(tensor.name, name)
        kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
        lengths = ["n" if length < 0 else length for length in tensor.shape]
        self._outputs.append(helper.make_tensor_value_info(name, kind, lengths))

    def noise(self, layer: Layer, x: Symbol) -> Tensor:
        # Of each entry of the noise two bytes come in, its place among the quantiles; the runtime looks it up.
        words = Symbol(self.e, noise_name(layer.index), (self._probes, -1, prod(x.shape[1:])), np.dtype(np.uint16))
        g = take(normal_quantiles(), words.astype(np.int32)).reshape(self._probes, *x.shape)
        length = np.sqrt(squared_norms(x, 1))
        # A row with x^i = 0 has no relative noise; unit noise keeps its Jacobian measurable.
        length = where(length == 0, 1.0, length)
        scale = length / np.sqrt(squared_norms(g, 2)) * self._programme.radius
        self.output(scale_name(layer.index), scale)
        return g * scale.astype(np.float32).reshape(*scale.shape, *(1,) * (x.ndim - 1))

    def arrivals(self, target: int, streams: Streams) -> dict[int, tuple[int, ...]]:
        """Target to sources."""
        if self._programme.output_only and target != self._network.depth:
            return {}
        arriving = dict(streams.moving)
        if "signals" in arriving:
            residuals, x = arriving["residuals"], streams.primal
            # In the linear form the deviation is M(x + eta) - J (x + eta), and that is w + M(x) - J x.
            missing = (x - arriving["signals"]).reshape(len(streams.sources), 1, *x.shape)
            apart = residuals.reshape(len(streams.sources), self._probes, *x.shape) + missing
            arriving["residuals"] = apart.reshape(*residuals.shape)
        for kind, values in arriving.items():
            self.output(stream_name(kind, target), squared_norms(values, 2))
        return {target: streams.sources}

    def units(self, shape: Shape, spacing: Shape) -> list[Symbol]:
        """All combs at every row, in one part."""
        e, combined = self.e, combs(shape, spacing, 0, prod(spacing))
        rows = e.node("Shape", ROWS, start=0, end=1)
        full = e.node("Concat", e.integers(len(combined)), rows, e.integers(*shape), axis=0)
        return [Symbol(e, e.node("Expand", e.constant(combined[:, None]), full), (len(combined), -1, *shape))]
