"""The gradient of a loss of the logits with respect to all weights and biases, summed over rows."""

from collections.abc import Callable

import numpy as np

from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.threads import in_parts, part_rows
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

Slopes = Callable[[Array, slice], Array]
"""Derivatives of the loss with respect to the logits (n, K) of some rows, of the same shape."""


def gradient(network: Network, rows: Array, slopes: Slopes, threads: int | None = None) -> Float64Array:
    """Backpropagation, in the order of `onnxbound.linear.curvature.parameters`.

    Args:
        network: Cast to float32.
        rows: (n, *input_shape), float32.
        slopes: Returns the derivative of the loss by the logits.
        threads: None for all cores; the result does not depend on them.

    Returns:
        (P,).
    """
    layers = network.layers
    outputs, keep = [layer.output for layer in layers], {layer.input for layer in layers} | {network.output}

    def part(where: slice) -> Float64Array:
        forward = linearise(network, rows[where], keep)
        c = slopes(forward.values[network.output], where).astype(np.float32)
        found = forward.linearisation.vjp(network.output, c[None], outputs)
        parts = []
        for layer in layers:
            operator, size = layer.operator, layer.operator.weight.size
            cotangent = found.get(layer.output)
            if cotangent is None:
                parts.append(np.zeros(size + (0 if operator.bias is None else operator.channels)))
                continue
            parts.append(operator.weight_gradient(forward.values[layer.input], cotangent[0]).ravel())
            if operator.bias is not None:
                parts.append(operator.bias_cotangent(cotangent)[0].sum(axis=0))
        return np.concatenate(parts).astype(np.float64)

    found = in_parts(part, len(rows), part_rows(network), threads)
    return np.asarray(sum(found[1:], start=found[0]))
