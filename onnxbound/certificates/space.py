"""The weights and biases of a network as one vector, and as the code of a network on a lattice."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.describe import Description
from onnxbound.codec.network_code import Exact, Levels, NetworkCode
from onnxbound.compressors.prices import Prices, prices
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array

Tensors = Mapping[str, NDArray[np.float32]]
LevelVector = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


class Space:
    """P parameters, less those of a prior network, in the order of `onnxbound.linear.curvature.parameters`.

    Attributes:
        trained: The trained network, less the prior, (P,).
        tensor: Which tensor an entry belongs to, (P,).
        bias: Which tensors are biases, (tensors,).
        starts: Where each tensor begins, (tensors,).
    """

    def __init__(self, network: Network, described: Description, prior: Tensors | None, numbers: tuple[float, ...]):
        self._network = network.cast(np.float32)
        self._described, self._prior, self._numbers = described, prior, numbers
        holes = [described.tensors[name] for name in described.parameters]
        sizes = [hole.size for hole in holes]
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self.tensor = np.repeat(np.arange(len(sizes)), sizes)
        self.bias = np.array([hole.ndim == 1 for hole in holes])
        whole = self._flat(described.tensors)
        self._origin = np.zeros_like(whole) if prior is None else self._flat(prior)
        self.trained = whole - self._origin

    def network(self, moved: Float64Array) -> Network:
        """The network, in float32, with other parameters, given less the prior."""
        pieces = iter(self._pieces((self._origin + moved).astype(np.float32)))
        operators = {}
        for layer in self._network.layers:
            operator = layer.operator
            weight = next(pieces).reshape(operator.weight.shape)
            bias = None if operator.bias is None else next(pieces).astype(np.float64)
            operators[layer.output] = replace(operator, weight=weight, bias=bias).cast(np.float32)
        steps = (replace(step, operator=operators.get(step.output, step.operator)) for step in self._network.steps)
        return replace(self._network, steps=tuple(steps))

    def code(self, levels: LevelVector, steps: Float64Array) -> NetworkCode:
        """What is written: parameters as levels, everything else exactly.

        Args:
            levels: (P,).
            steps: One per tensor, each of a length that can be written.
        """
        tensors = self._described.tensors
        pieces = zip(self._described.parameters, steps, self._pieces(levels), strict=True)
        on_lattice = {name: Levels(float(step), piece.reshape(tensors[name].shape)) for name, step, piece in pieces}
        parts = tuple(on_lattice.get(name) or Exact(values) for name, values in tensors.items())
        return NetworkCode(parts, self._numbers)

    def tensors(self, levels: LevelVector, steps: Float64Array) -> Tensors:
        """What a decoder would put into the holes."""
        return self.code(levels, steps).tensors(self._described.skeleton, self._prior)

    def prices(self, levels: LevelVector) -> Prices:
        """Prices that fit some levels."""
        shapes = {hole.name: hole.filters for hole in self._described.skeleton.holes}
        pieces = zip(self._described.parameters, self._pieces(levels), strict=True)
        return prices([piece.reshape(shapes[name]) for name, piece in pieces])

    def mean_per_tensor(self, values: Float64Array, entries: NDArray[np.int64]) -> Float64Array:
        """Mean over those of the entries that each tensor has, (tensors,); 0 where it has none."""
        tensor, count = self.tensor[entries], len(self.starts)
        sums = np.bincount(tensor, values[entries], count)
        return np.asarray(sums / np.maximum(np.bincount(tensor, minlength=count), 1))

    def _pieces(self, vector: NDArray[Number]) -> list[NDArray[Number]]:
        return np.split(vector, self.starts[1:])

    def _flat(self, tensors: Tensors) -> Float64Array:
        return np.concatenate([tensors[name].ravel() for name in self._described.parameters]).astype(np.float64)
