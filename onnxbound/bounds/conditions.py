"""The conditions of [A]'s theorems: the extreme of each property, over one subset of the rows."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from onnxbound.bounds.arora2018 import LayerCondition
from onnxbound.bounds.outliers import keep_rows
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.row_table import Table
from onnxbound.stability.contraction import BETWEEN_CONTRACTION, CONTRACTION, bounded
from onnxbound.stability.interlayer_cushion import CLIPPED
from onnxbound.stability.layer_cushion import LAYER_CUSHION
from onnxbound.stability.property import Property
from onnxbound.stability.property_table import PropertyTable
from onnxbound.stability.well_distributed import BETA


@dataclass(frozen=True, slots=True)
class Conditions:
    """The extremes over the rows, or over those that zeta keeps.

    Attributes:
        layers: The extremes of each layer.
        between_contraction: The largest between contraction over layers and all rows; 0 where none is defined.
        outliers: Measured rows that zeta dropped, and rows on which a condition is undefined.
    """

    layers: tuple[LayerCondition, ...]
    between_contraction: float
    outliers: int


def conditions(network: Network, forward: Table, measured: PropertyTable, zeta: float) -> Conditions:
    """Read the conditions of [A]'s theorems off the rows.

    Args:
        network: The net.
        forward: Forward properties of all m rows.
        measured: Every property of the n measured rows.
        zeta: Share of the measured rows that the conditions may leave out; 0 reads them off all rows.
    """
    per_row = _per_row(network, measured)
    kept = keep_rows(per_row, zeta)

    def extreme(prop: Property, layer: Layer) -> float | None:
        # Forward properties are known at all rows, and need no sample; but where zeta leaves rows out, all conditions
        # have to hold together on what is left, and only the measured rows have all of them.
        if prop.forward and not zeta:
            return _extreme(prop, forward.column(prop.name, layer.index))
        values = measured.column(prop.name, layer.index)
        return _extreme(prop, values[kept] if zeta else values)

    between = (
        _extreme(BETWEEN_CONTRACTION, forward.column(BETWEEN_CONTRACTION.name, layer.index)) for layer in network.layers
    )
    return Conditions(
        layers=tuple(
            LayerCondition(
                layer_cushion=extreme(LAYER_CUSHION, layer),
                minimal_interlayer_cushion=extreme(CLIPPED, layer),
                # Without a gate nothing is taken away from the signal.
                contraction=1.0 if layer.gate is None else extreme(CONTRACTION, layer),
                beta=extreme(BETA, layer),
                tail=_tail(network, forward) if layer.index == network.depth else 1.0,
                basis="measured" if measured.exact(CLIPPED, layer.index) else "estimated",
            )
            for layer in network.layers
        ),
        between_contraction=max((value for value in between if value is not None), default=0.0),
        outliers=int(np.sum(~kept | np.isnan(per_row).any(axis=1))),
    )


def _tail(network: Network, forward: Table) -> float:
    """How much more the noise of layer d may weigh at the logits than at x^d, over all rows; at least 1."""
    layer = network.layers[-1]
    if layer.output == network.output:
        return 1.0
    size = sqrt(layer.operator.frobenius_squared()) * forward.column("input_norm", layer.index)
    norms = size * forward.column(LAYER_CUSHION.name, layer.index)
    largest = float(np.max(norms, initial=0.0, where=np.isfinite(norms)))
    noise = network.tail_lipschitz.get(layer.index, 0.0) * largest
    scale = float(forward.column("logit_norm").max())
    # Norms come from float32: what only copies x^d is within 1e-6 of 1.
    return 1.0 if noise <= scale * (1 + 1e-6) else noise * (1 + 1e-6) / scale if scale > 0 else inf


def _per_row(network: Network, measured: PropertyTable) -> NDArray[np.float64]:
    """Collect the conditions at the measured rows, one column each, oriented so that small is bad, (n, p)."""
    columns = []
    for layer in network.layers:
        wanted = [(LAYER_CUSHION, layer.index), (BETA, layer.index)]
        if not measured.programme.output_only:
            # Towards the output alone its minimum over later layers is not known.
            wanted.append((CLIPPED, layer.index))
        if layer.gate is not None:
            wanted.append((CONTRACTION, layer.index))
        if layer.between and bounded(layer):
            wanted.append((BETWEEN_CONTRACTION, min(layer.between)))
        for prop, index in wanted:
            values = measured.column(prop.name, index)
            columns.append(-values if prop.extreme == "max" else values)
    return np.stack(columns, axis=1)


def _extreme(prop: Property, values: Float64Array) -> float | None:
    """Return the smallest or largest defined value; None where none is."""
    defined = values[np.isfinite(values)]
    if not defined.size:
        return None
    return float(defined.min() if prop.extreme == "min" else defined.max())
