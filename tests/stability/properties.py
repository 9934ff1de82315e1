"""Every property of a measurement as arrays over layers and pairs."""

import numpy as np

from onnxbound.graph.network import Network
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.results import Float64Array
from onnxbound.run.forward_norms import ForwardNorms
from onnxbound.stability.catalogue import CATALOGUE, FORWARD
from onnxbound.stability.property import evaluate, weight_norms


def arrays_of(
    network: Network, norms: ForwardNorms | Measurement, programme: Programme | None = None
) -> dict[str, Float64Array]:
    """Name of a property to (n, d) or (n, d, d), NaN where there is no pair; of a forward pass, what it gives."""
    catalogue = FORWARD if programme is None else CATALOGUE
    found = evaluate(catalogue, network, weight_norms(network), norms, programme)
    rows, depth = len(norms.source_norm), network.depth
    pairs = (prop.name for prop in catalogue if prop.per == "pair")
    result: dict[str, Float64Array] = {name: np.full((rows, depth, depth), np.nan) for name in pairs}
    for (name, *place), values in found.items():
        shape = (len(values), *[network.depth] * len(place))
        array = result.setdefault(str(name), np.full(shape, np.nan))
        array[(slice(None), *(int(i) - 1 for i in place))] = values
    return result
