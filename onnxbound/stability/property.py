"""A noise-stability property as one record: how it is computed, read over the rows, and explained."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from onnxbound.documents.topic import Topic
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.results import Float64Array
from onnxbound.run.forward_norms import ForwardNorms
from onnxbound.run.row_table import Column


@dataclass(frozen=True, slots=True)
class WeightNorms:
    """Norms of the weights, which no row changes.

    Attributes:
        frobenius: |A^i|_F, (d,).
        map_squared: |M|_F^2 of each layer's whole linear map, (d,).
    """

    frobenius: Float64Array
    map_squared: Float64Array


def weight_norms(network: Network) -> WeightNorms:
    """Compute the Frobenius norms of the weights and of the maps they make, in float64."""
    weights = [sqrt(layer.operator.frobenius_squared()) for layer in network.layers]
    maps = [layer.operator.map_frobenius_squared(layer.input_shape) for layer in network.layers]
    return WeightNorms(np.array(weights), np.array(maps))


@dataclass(frozen=True, slots=True)
class Place:
    """The raw norms of n rows, seen from a layer i or from a pair of layers i < j.

    Attributes:
        network: The net.
        weights: Norms of its weights.
        norms: Of a forward pass, or of the whole programme.
        layer: Layer i.
        target: Layer j of a pair; None at a single layer.
        programme: What was measured; None for a forward pass.
    """

    network: Network
    weights: WeightNorms
    norms: ForwardNorms | Measurement
    layer: Layer
    target: Layer | None = None
    programme: Programme | None = None

    def norm(self, field: str, layer: Layer | None = None) -> Float64Array:
        """Return a field of the norms at layer i, or at another layer; for fields of pairs at (i, j); (n,)."""
        values: Float64Array = getattr(self.norms, field)
        i = (layer or self.layer).index - 1
        if values.ndim == 2:
            return values[:, i]
        assert self.target is not None
        return values[:, i, self.target.index - 1]

    def to(self, target: Layer) -> "Place":
        """Return the pair of layer i with a later layer."""
        return Place(self.network, self.weights, self.norms, self.layer, target, self.programme)


@dataclass(frozen=True, slots=True)
class Property:
    """One property: tables, samples, reports, figures, comparisons and notices iterate over such records.

    Attributes:
        name: Key in reports and samples; a dot makes a key within a key.
        title: Name for people.
        topic: Its explanation.
        extreme: Which extreme over the rows a theorem uses and tables show.
        values: Computes the property of n rows at a place, (n,), NaN where it is undefined; None if a stage of its own
            measures it.
        per: Whether it belongs to a layer or to a pair of layers.
        forward: Whether one forward pass gives it, so that all rows have it.
        error: Computes the standard error of each value from the place and the values; None if values are exact.
        power: The power of |J|_F that it is proportional to, where |J|_F is estimated.
        of_noise: Whether it is measured with drawn noise, so that the number of probes is reported.
        to_output: Whether a layer shows the value of its pair with the output.
        heading: Column in tables of layers; empty if it has none.
        stable: Which values a net has that tolerates more noise; empty where it has no histograms and comparisons.
        absent: Says why the property does not exist at a layer; empty if it does.
    """

    name: str
    title: str
    topic: Topic
    extreme: Literal["min", "median", "max"]
    values: Callable[[Place], Float64Array] | None
    per: Literal["layer", "pair"] = "layer"
    forward: bool = False
    error: Callable[[Place, Float64Array], Float64Array] | None = None
    power: Literal[-1, 0, 1] = 0
    of_noise: bool = False
    to_output: bool = False
    heading: str = ""
    stable: Literal["", "larger", "smaller"] = ""
    absent: Callable[[Network, Layer], str] = lambda _network, _layer: ""

    def places(self, network: Network, *, output_only: bool) -> Iterator[tuple[int, ...]]:
        """Yield the layers (i,), or the pairs (i, j) with a path, at which the property is measured."""
        targets = network.layers[-1:] if output_only else network.layers
        for layer in network.layers:
            if self.per == "layer":
                yield (layer.index,)
            else:
                later = (target.index for target in targets if target.index > layer.index)
                yield from ((layer.index, j) for j in later if network.has_path(layer.index, j))


@np.errstate(over="ignore", invalid="ignore")  # a Jacobian that overflows, times a norm of 0, is undefined
def evaluate(
    properties: Iterable[Property],
    network: Network,
    weights: WeightNorms,
    norms: ForwardNorms | Measurement,
    programme: Programme | None = None,
) -> dict[Column, Float64Array]:
    """Compute properties at every layer and pair from raw norms.

    Args:
        properties: Properties of the catalogue.
        network: The net.
        weights: Norms of its weights.
        norms: Of n rows.
        programme: What was measured; None for a forward pass.

    Returns:
        (name, i) or (name, i, j) to the values, (n,); the standard errors under `error_of(name)`.
    """
    result: dict[Column, Float64Array] = {}
    for prop in properties:
        if prop.values is None:
            continue
        for i, *j in prop.places(network, output_only=programme is not None and programme.output_only):
            target = network.layers[j[0] - 1] if j else None
            place = Place(network, weights, norms, network.layers[i - 1], target, programme)
            values = result[prop.name, i, *j] = prop.values(place)
            if prop.error is not None:
                result[error_of(prop.name), i, *j] = prop.error(place, values)
    return result


def error_of(name: str) -> str:
    """Return the column of the standard errors of a property."""
    return f"{name}_error"
