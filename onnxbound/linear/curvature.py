"""The Gauss-Newton matrix of a network: how the logits of many rows change with all weights and biases.

With q = softmax(f(x) / T), the divergence of q from the outputs p of another network has, to second order in the
weights w, the gradient J^T (q - p) / T and the curvature J^T C J / T^2, where J = df(x)/dw and C = diag(q) - q q^T. The
temperature T is one per row: a row with a large margin tolerates a change as large, and at T = 1 its softmax is so
close to 0 and 1 that the curvature vanishes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.network import Network
from onnxbound.linear.gradient import parameters
from onnxbound.linear.linearisation import Forward, linearise
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

_BATCH_ROWS, _BATCH_BYTES = 250, 1 << 28

_STRIPE = 512
"""Rows of the matrix that are added to at a time, from the diagonal on: what lies below is their mirror image."""


@dataclass(frozen=True, slots=True)
class Target:
    """Rows, and the outputs p that a network should keep there.

    Attributes:
        views: The rows in every way that the network sees them, (n, *input_shape), float32; its logits are the mean.
        logits: The other network's logits, whose softmax at the temperature is p, (n, K).
        temperature: T of each row, (n,); a row of infinite temperature has no weight.
    """

    views: Sequence[Array]
    logits: Float64Array
    temperature: Float64Array


@dataclass(frozen=True, slots=True)
class Curvature:
    """Means over the rows, in the order of `onnxbound.linear.gradient.parameters`.

    Attributes:
        matrix: J^T C J / T^2, estimated without bias from random cotangents; float32, (P, P).
        gradient: J^T (q - p) / T, exact; (P,).
    """

    matrix: NDArray[np.float32]
    gradient: Float64Array


def in_batches(places: NDArray[np.int64], numbers: int, probes: int) -> list[NDArray[np.int64]]:
    """Places of rows, in batches whose Jacobians of so many numbers fit in memory."""
    batch = max(1, min(_BATCH_ROWS, _BATCH_BYTES // (4 * (probes + 1) * numbers)))
    return np.split(places, range(batch, len(places), batch))


def curvature(
    network: Network,
    targets: Iterator[Target],
    probes: int,
    generator: np.random.Generator,
    entries: NDArray[np.int64] | None = None,
) -> Curvature:
    """Curvature and gradient at the network's own weights.

    Args:
        network: Cast to float32.
        targets: Batches of rows.
        probes: Number of random cotangents C^{1/2} u per row, u of independent signs.
        generator: Generator of the signs.
        entries: Of the parameters, ascending, (E,): the matrix is (E, E), the gradient (E,); None for all.
    """
    if entries is None:
        entries = np.arange(parameters(network).size)
    size = entries.size
    upper, gradient, count = np.zeros((size, size), np.float32), np.zeros(size), 0
    keep = _kept(network)
    for target in targets:
        jacobian = _probed(network, target, keep, probes, generator, entries)
        flat = jacobian[:-1].reshape(-1, size)
        for start in range(0, size, _STRIPE):
            stripe = slice(start, start + _STRIPE)
            upper[stripe, start:] += flat[:, stripe].T @ flat[:, start:]
        gradient += jacobian[-1].sum(axis=0)
        count += len(target.logits)
    upper = np.triu(upper / np.float32(count * probes))
    return Curvature(upper + np.triu(upper, 1).T, gradient / count)


def _kept(network: Network) -> set[str]:
    return {layer.input for layer in network.layers} | {network.output}


def _probed(
    network: Network,
    target: Target,
    keep: set[str],
    probes: int,
    generator: np.random.Generator,
    entries: NDArray[np.int64],
) -> Array:
    """J^T C^{1/2} u / T for each of the probes, and J^T (q - p) / T last, (probes + 1, n, E)."""
    heat = target.temperature[:, None]
    seen = [linearise(network, rows, keep) for rows in target.views]
    logits = sum(forward.values[network.output] for forward in seen) / len(seen)
    q, p = softmax(logits / heat), softmax(target.logits / heat)
    signs = generator.integers(0, 2, (probes, *q.shape)) * 2 - 1
    roots = np.sqrt(q) * signs
    cotangents = np.concatenate([roots - q * roots.sum(axis=-1, keepdims=True), (q - p)[None]]) / heat
    cotangents = (cotangents / len(seen)).astype(np.float32)
    found = _pulled_back(network, seen[0], cotangents, entries)
    for forward in seen[1:]:
        found += _pulled_back(network, forward, cotangents, entries)
    return found


def _pulled_back(network: Network, forward: Forward, cotangents: Array, entries: NDArray[np.int64]) -> Array:
    """Cotangents (s, n, K) of the logits as cotangents (s, n, E) of some parameters."""
    outputs = [layer.output for layer in network.layers]
    gradients: Mapping[str, Array] = forward.linearisation.vjp(network.output, cotangents, outputs)
    parts, start = [], 0
    for layer in network.layers:
        c = gradients.get(layer.output)
        if c is None:
            c = np.zeros((*cotangents.shape[:2], *layer.output_shape), cotangents.dtype)
        weight, bias = layer.operator.weight, layer.operator.bias
        ends = np.cumsum([start, weight.size, 0 if bias is None else bias.size])
        first, middle, last = np.searchsorted(entries, ends)
        x = forward.values[layer.input]
        parts.append(layer.operator.weight_cotangent(x, c, entries[first:middle] - start))
        if bias is not None:
            parts.append(layer.operator.bias_cotangent(c)[:, :, entries[middle:last] - ends[1]])
        start = ends[2]
    return np.concatenate(parts, axis=2)


def softmax(logits: Float64Array) -> Float64Array:
    """exp(z) over its sum, along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
