"""The weights and biases of a network as one vector, and as the code of a network on a lattice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.prices import Prices, prices
from onnxbound.codec.describe import Description
from onnxbound.codec.levels import Filters
from onnxbound.codec.network_code import NetworkCode
from onnxbound.codec.tensors import Exact, Levels, Part
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.network import Network
from onnxbound.linear.gradient import parameters
from onnxbound.results import Float64Array

Tensors = Mapping[str, NDArray[np.float32]]
LevelVector = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A stretch of the vector.

    Attributes:
        hole: The hole that it fills.
        filters: Its shape as the coder and the prices see it.
    """

    hole: str
    filters: Filters


@dataclass(frozen=True, slots=True)
class Point:
    """A network on the lattice.

    Attributes:
        levels: (P,).
        steps: One per tensor.
        price: Of a bit, at which it was found.
    """

    levels: LevelVector
    steps: Float64Array
    price: float


class Space:
    """P parameters, less those of a prior network, in the order of `onnxbound.linear.gradient.parameters`.

    Attributes:
        trained: The trained network, less the prior, (P,).
        tensor: Which tensor an entry belongs to, (P,).
        bias: Which tensors are biases, (tensors,).
        starts: Where each tensor begins, (tensors,).
    """

    def __init__(
        self,
        network: Network,
        described: Description,
        prior: Tensors | None,
        preprocessing: Preprocessing,
    ) -> None:
        self._network = network.cast(np.float32)
        self._described, self._prior, self._preprocessing = described, prior, preprocessing
        self._tensors = tuple(_tensors(network, described))
        whole = parameters(self._network)
        self._origin = np.zeros_like(whole) if prior is None else _flat(self._tensors, prior)
        self.trained = whole - self._origin
        sizes = [prod(tensor.filters) for tensor in self._tensors]
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self.tensor = np.repeat(np.arange(len(sizes)), sizes)
        self.bias = np.array([described.tensors[tensor.hole].ndim == 1 for tensor in self._tensors])

    def network(self, moved: Float64Array | NDArray[np.float32]) -> Network:
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
        pieces = zip(self._tensors, steps, self._pieces(levels), strict=True)
        parts: dict[str, Part] = {
            tensor.hole: Levels(float(step), piece.reshape(self._described.tensors[tensor.hole].shape))
            for tensor, step, piece in pieces
        }
        tensors = self._described.tensors
        every = tuple(parts.get(name) or Exact(values) for name, values in tensors.items())
        return NetworkCode(self._described.architecture, every, self._preprocessing, difference=self._prior is not None)

    def tensors(self, levels: LevelVector, steps: Float64Array) -> Tensors:
        """What a decoder would put into the holes."""
        return self.code(levels, steps).tensors(self._prior)

    def prices(self, levels: LevelVector) -> Prices:
        """Prices that fit some levels."""
        pieces = zip(self._tensors, self._pieces(levels), strict=True)
        return prices([piece.reshape(tensor.filters) for tensor, piece in pieces])

    def mean_per_tensor(self, values: Float64Array | NDArray[np.float32], entries: NDArray[np.int64]) -> Float64Array:
        """Mean over those of the entries that each tensor has, (tensors,); 0 where it has none."""
        tensor, count = self.tensor[entries], len(self.starts)
        sums = np.bincount(tensor, values[entries], count)
        return np.asarray(sums / np.maximum(np.bincount(tensor, minlength=count), 1))

    def _pieces(self, vector: NDArray[Number]) -> list[NDArray[Number]]:
        return np.split(vector, self.starts[1:])


def _tensors(network: Network, described: Description) -> Iterator[_Tensor]:
    """Every weight and every bias, layer by layer."""
    filters = {hole.name: hole.filters for hole in described.architecture.holes}
    holes = iter(described.parameters)
    for layer in network.layers:
        for _ in range(1 + (layer.operator.bias is not None)):
            hole = next(holes)
            yield _Tensor(hole, filters[hole])


def _flat(tensors: Sequence[_Tensor], values: Tensors) -> Float64Array:
    return np.concatenate([values[tensor.hole].ravel() for tensor in tensors]).astype(np.float64)
