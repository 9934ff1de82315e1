"""Interlayer smoothness under the noise that compression really makes, [A] Definition 7 as Lemma 3 uses it.

At x^i there are two differences to the original: with the layers before i compressed, and with layer i compressed too.
Both must be smooth to every later layer. The noise at the input of a layer is that of the whole compressed net there,
since all layers that reach it come before it.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.bounds.arora2018 import LayerCondition, RealisedSmoothness, failure_per_pair, projected_layers
from onnxbound.bounds.norms import LayerNorms
from onnxbound.compressors.budget import Budget
from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.method import Method, compress_layers
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.numpy_sweep import NumpySweeper
from onnxbound.linear.row_norms import squared_norms
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

DIFFERENCES = 2
"""Before layer i is compressed, and after."""


def noisy_network(
    network: Network,
    norms: tuple[LayerNorms, ...],
    conditions: tuple[LayerCondition, ...],
    between_contraction: float,
    *,
    gamma: float | None,
    max_logit: float,
    delta: float,
    rows: int,
    projections: int | None,
    seed: int,
    threads: int | None,
) -> CompressedNetwork | None:
    """The compression that makes the noise: what [A] Theorem 4.1 with every constant speaks of, built; or k at will.

    Args:
        network: The net.
        norms: Of its layers.
        conditions: Extremes over S.
        between_contraction: The largest over layers and rows.
        gamma: Margin.
        max_logit: max |f(x)|.
        delta: Probability of failure of the theorem, a third of it for the signs.
        rows: m.
        projections: k of every layer; None for the theorem's own.
        seed: Of the helper string.
        threads: Threads; None for all cores.

    Returns:
        None where the theorem says nothing: without a margin, with one that exceeds all, or where a cushion is 0.
    """
    method = Method("matrix-project", seed=seed, threads=threads)
    if projections is not None:
        return compress_layers(network, method, {i: Budget("k", projections) for i in range(1, network.depth + 1)})
    missing = any(not c.layer_cushion or not c.minimal_interlayer_cushion for c in conditions)
    if gamma is None or gamma > sqrt(2) * max_logit or missing:
        return None
    epsilon, contraction = gamma / (sqrt(2) * max_logit), max(1.0, between_contraction)
    layers = projected_layers(network, norms, conditions, contraction, epsilon, delta / 3, rows)
    budgets = {i: Budget("epsilon", layer.epsilon) for i, layer in enumerate(layers, start=1) if layer.projections}
    eta = failure_per_pair(network, delta / 3, rows)
    return compress_layers(network, replace(method, eta=eta), budgets)


def smoothness_under_compression(
    network: Network, compressed: CompressedNetwork, batches: Iterable[NDArray[Any]], done: Callable[[int], None]
) -> Float64Array:
    """1 / rho_{i,j}, the larger of both differences, in float64.

    Args:
        network: The original.
        compressed: It, compressed.
        batches: Rows (b, *input_shape).
        done: Called with the number of rows that are finished.

    Returns:
        (n, d, d) at [:, i-1, j-1]; 0 where there is no noise, infinite where x^j = 0 and the residual is not, NaN where
        there is no path or x^i = 0.
    """
    double, other = network.cast(np.float64), compressed.numpy().cast(np.float64)
    parts, count = [], 0
    for rows in batches:
        parts.append(_of_batch(double, other, rows.astype(np.float64)))
        count += len(rows)
        done(count)
    return np.concatenate(parts)


def largest(inverse: Float64Array, compressed: CompressedNetwork) -> RealisedSmoothness:
    """The pair that is least smooth."""
    worst = np.nan_to_num(inverse, nan=0.0).max(axis=0)
    i, j = np.unravel_index(int(worst.argmax()), worst.shape)
    projected = sum(weight.method != "kept" for weight in compressed.weights.values())
    return RealisedSmoothness(float(worst[i, j]), int(i) + 1, int(j) + 1, len(inverse), projected)


def _of_batch(network: Network, other: Network, rows: Array) -> Float64Array:
    targets = frozenset(network.target(layer.index) for layer in network.layers)
    tensors = {name for layer in network.layers for name in (layer.input, layer.output)} | targets
    original = linearise(network, rows, tensors).values
    changed = linearise(other, rows, tensors).values

    def noise(layer: Layer, difference: int) -> Array:
        after = changed[layer.output] if difference else layer.operator.act(changed[layer.input])
        return np.asarray(after - original[layer.output])

    sweep = NumpySweeper(network, DIFFERENCES, None, noise, signals=False, watched=frozenset()).run(rows)
    result = np.full((len(rows), network.depth, network.depth), np.nan)
    for (i, j), arrival in sweep.arrivals.items():
        layer = network.layers[i - 1]
        length = np.stack([np.sqrt(squared_norms(noise(layer, difference), 1)) for difference in range(DIFFERENCES)])
        source = np.sqrt(squared_norms(original[layer.output], 1))
        target = np.sqrt(squared_norms(original[network.target(j)], 1))
        inverse = np.zeros_like(length)
        noisy = np.broadcast_to(target > 0, length.shape) & (length > 0)
        np.divide(np.sqrt(arrival.residuals) * source, length * target, out=inverse, where=noisy)
        inverse[(arrival.residuals > 0) & (target == 0)] = inf
        inverse[:, source == 0] = np.nan
        result[:, i - 1, j - 1] = inverse.max(axis=0)
    return result
