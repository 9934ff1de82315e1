"""What compression did at a layer, on sample rows: relative errors, and Lemma 2 put to the test."""

from dataclasses import dataclass, replace

import numpy as np

from onnxbound.bounds.norms import overlap
from onnxbound.compressors.compressed import CompressedNetwork, local_output
from onnxbound.graph.layer import Layer
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.row_norms import squared_norms
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

MOST_CLASSES = 100
"""With more, the Jacobian to the logits would take too many products, and Lemma 2 is not put to the test."""


@dataclass(frozen=True, slots=True)
class LayerErrors:
    """One layer at n rows, the input of each the original's.

    Attributes:
        relative: |(A^ - A) a| / |x|, NaN where x = 0, (n,).
        epsilon: |J (A^ - A) a| / (|A|_F |J|_F |a|), J the Jacobian from x to the logits: what Lemma 2 bounds by
            epsilon for all rows at once; for a convolution |a| is that of its patches, at most sqrt(overlap) |a|. NaN
            where it is undefined, (n,).
    """

    relative: Float64Array
    epsilon: Float64Array


def layer_errors(
    compressed: CompressedNetwork, rows: Array, origins: dict[int, Float64Array]
) -> dict[int, LayerErrors]:
    """Errors of every layer that is not kept.

    Args:
        compressed: The net.
        rows: (n, *input_shape), float32.
        origins: Layer index to the weight from which the distance was compressed; empty without one.
    """
    network = compressed.network.cast(rows.dtype)
    layers = [layer for layer in network.layers if compressed.of(layer).method != "kept"]
    keep = {name for layer in layers for name in (layer.input, layer.output)}
    forward = linearise(network, rows, keep)
    exact = network.classes <= MOST_CLASSES
    jacobians: dict[str, Array] = {}
    if exact:
        units = np.eye(network.classes, dtype=rows.dtype)[:, None].repeat(len(rows), axis=1)
        jacobians = forward.linearisation.vjp(network.output, units, [layer.output for layer in layers])
    result = {}
    for layer in layers:
        original = compressed.network.layers[layer.index - 1]
        change = _change(compressed, original, forward.values[layer.input])
        origin = origins.get(layer.index)
        matrix = original.operator.effective_weight() - (0 if origin is None else origin)
        norm = float(np.linalg.norm(matrix)) * overlap(layer)
        scale = norm * np.sqrt(squared_norms(forward.values[layer.input], 1))
        moved = np.sqrt(squared_norms(change, 1))
        epsilon = np.full(len(rows), np.nan)
        if layer.output in jacobians:
            jacobian = jacobians[layer.output].reshape(network.classes, len(rows), -1)
            product = np.einsum("kns,ns->kn", jacobian, change.reshape(len(rows), -1), dtype=np.float64)
            size = np.sqrt(squared_norms(jacobian, 2).sum(axis=0))
            epsilon = _ratio(np.linalg.norm(product, axis=0), size * scale)
        result[layer.index] = LayerErrors(
            _ratio(moved, np.sqrt(squared_norms(forward.values[layer.output], 1))), epsilon
        )
    return result


def _change(compressed: CompressedNetwork, layer: Layer, x: Array) -> Array:
    """(A^ - A) a."""
    found = compressed.of(layer)
    if found.filters is not None:
        original: Array = layer.operator.cast(x.dtype).act(x)
        return local_output(layer, found.filters, x) - original
    difference = compressed.weight_of(layer) - layer.operator.effective_weight()
    operator = replace(layer.operator, weight=difference, scale=None, bias=None)
    change: Array = operator.cast(x.dtype).act(x)
    return change


def _ratio(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
