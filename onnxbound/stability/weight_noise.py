"""How much noise in the weights of one layer alone moves the logits, and how many rows it misclassifies.

Layer cushions cannot be compared between layers of different width; these two numbers can. Noise dA in A^i has
independent entries of mean 0 and relative length e: E |dA|_F^2 = e^2 |A^i|_F^2. A^i has the BatchNorm behind it folded
in; of weights that several layers share, the noise is in one layer's own copy.

To first order logit k moves by <G_k, dA> with G_k = df_k/dA, so with N entries of A^i

    E |df|^2 = e^2 |A^i|_F^2 sum_k |G_k|_F^2 / N.

The sensitivity is the root of this over e |f(x)|. For a dense layer at one position |G_k|_F = |J_k| |a^i|, J the
Jacobian from x^i to the logits, and in the affine form it is 1 / (mu_i mu_{i,d} sqrt(h_in h_out)). For any other layer
G_k is a product of cotangents and patches; one sweep back from the logits gives it for all layers at once.

The sum over K logits is exact for up to 10 of them, one cotangent each. With more, ten random directions of R^K that
are orthogonal to each other take their place: K / 10 times their sum has the right mean.

Why exact at few rows, measured on four nets with ten classes. One random direction costs a sixth to an eighth of all
ten logits, and its |df|^2 has a relative standard deviation of up to 0.8. Drawing dA and sending its tangent forward
costs one to three times as much as a direction, has one of 0.4 to 1.1, and never becomes exact. Between rows the
sensitivity itself varies by a relative 0.1 to 0.6. So for the median one direction at six times the rows would be more
precise, but noise of that size shifts a median and makes a maximum meaningless; exact values at 100 rows fix the median
to 1 to 8 %.

Noise of finite length also flips gates. The count of errors contains that, the sensitivity does not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Batch
from onnxbound.documents.topic import ARORA, Topic
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.row_norms import squared_norms
from onnxbound.linear.threads import in_parts, part_rows
from onnxbound.operators.operator import Array
from onnxbound.results import Estimate, Float64Array, Measured
from onnxbound.rng import normal_noise
from onnxbound.stability.property import Property
from onnxbound.stability.ratio import ratio

_SENSITIVITY_ROWS = 100
"""Enough rows for a median; a row takes as long as 2 min(K, 10) forward passes or so."""

_ERROR_ROWS = 250
"""Enough rows to see a share of 1 % change; a row takes as long as d * draws / 2 forward passes or so."""

_LEAST_ROWS = 20, 5
"""Of either, as far as there are so many."""

DIRECTIONS = 10
"""Cotangents per row."""

_AT_LOGITS = 2 << 32
"""Stand in the counter of the noise where layers stand, and keep it independent of that of smoothness."""

_BATCH_BYTES = 1 << 28
_BLOCK_ENTRIES = 1 << 22

quietly = np.errstate(over="ignore", invalid="ignore")
"""A logit that overflows is an error and no accident."""


def weight_noise_sensitivity(
    weight_norm: float, entries: int, gradient_norm: Float64Array, logit_norm: Float64Array
) -> Float64Array:
    """|A^i|_F |df/dA^i|_F / (sqrt(N) |f(x)|), the relative change of the logits per relative noise in A^i.

    Args:
        weight_norm: |A^i|_F.
        entries: N, entries of A^i.
        gradient_norm: |df/dA^i|_F, (n,); |a^i| |J^{i,d}|_F for a dense layer at one position.
        logit_norm: |f(x)|, (n,).

    Returns:
        (n,); 0 where nothing depends on A^i, undefined where f(x) = 0.

    >>> weight_noise_sensitivity(6.0, 9, np.array([4.0]), np.array([2.0]))
    array([4.])
    """
    result = ratio(weight_norm * gradient_norm, sqrt(entries) * logit_norm)
    result[logit_norm == 0] = np.nan
    return result


WEIGHT_NOISE_SENSITIVITY = Property(
    name="weight_noise_sensitivity",
    title="weight-noise sensitivity",
    extreme="median",
    heading="w. noise",
    stable="smaller",
    values=None,
    topic=Topic(
        "weight_noise_sensitivity",
        "metric",
        "How strongly small noise in one layer's weights changes the logits: the relative change of the logits divided"
        " by the relative length of the noise. Unlike cushions, it can be compared between layers of different width."
        " The layer with the largest value needs the most precise weights.",
        "|A^i|_F |df/dA^i|_F / (sqrt(N) |f(x)|), the median over rows; N is the number of entries of A^i, the weight of"
        " layer i, and f(x) are the logits. For a dense layer in the affine form this is 1 / (mu_i mu_{i,d} sqrt(h_in"
        " h_out)), if the last layer d gives the logits; mu_i is the layer cushion, mu_{i,d} the interlayer cushion to"
        " layer d, and the layer has h_in inputs and h_out outputs.",
        f"our own; for dense layers, from {ARORA} Definitions 4 and 5",
        "none",
        "exact for up to 10 classes, otherwise estimated from 10 random directions in the space of the logits; on a"
        " tenth of the measured rows, but at least 20 (or all, if there are fewer) and at most 100",
    ),
)


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """Weight-noise sensitivity of every layer at n rows.

    Attributes:
        index: Rows in the data file, (n,).
        values: (n, d).
        standard_errors: (n, d), 0 where exact.
        directions: Number of random directions of the logits behind each value; None where all logits were taken.
        seed: Seed of the directions.
    """

    index: NDArray[np.int64]
    values: Float64Array
    standard_errors: Float64Array
    directions: int | None
    seed: int

    def of(self, layer: int) -> Measured | Estimate:
        """One layer's, by its 1-based index."""
        values = self.values[:, layer - 1]
        if self.directions is None:
            return Measured(values)
        return Estimate(values, self.standard_errors[:, layer - 1], self.directions, self.seed)


def sensitivities(
    network: Network, batches: Iterable[Batch], *, seed: int, threads: int | None = None
) -> Sensitivities:
    """Measure the weight-noise sensitivity of every layer.

    Args:
        network: Any network; smooth operators by their derivative, roundings by that of the clip without rounding.
        batches: Rows.
        seed: Of the directions, where there are more than 10 logits.
        threads: Threads; None for all cores.
    """
    work, size = network.cast(np.float32), part_rows(network)
    # Norms are those of the weights as they are; rows go through in float32, which a median does not notice.
    norms = [sqrt(layer.operator.frobenius_squared()) for layer in network.layers]
    parts = []
    for batch in cut_to_memory(network, batches, DIRECTIONS):
        parts += in_parts(partial(_at_rows, work, norms, batch, seed), len(batch.index), size, threads)
    index, values, errors = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Sensitivities(index, values, errors, None if network.classes <= DIRECTIONS else DIRECTIONS, seed)


@quietly
def _at_rows(
    network: Network, norms: list[float], batch: Batch, seed: int, part: slice
) -> tuple[NDArray[np.int64], Float64Array, Float64Array]:
    """Index, values and standard errors of some rows of a batch."""
    index, rows = batch.index[part], batch.inputs[part].astype(np.float32, copy=False)
    forward = linearise(network, rows, {network.output, *(layer.input for layer in network.layers)})
    directions = _directions(network.classes, index, seed)
    cotangents = forward.linearisation.vjp(network.output, directions, [layer.output for layer in network.layers])
    logit_norm = np.sqrt(squared_norms(forward.values[network.output], 1))
    values, errors = np.empty((2, len(index), network.depth))
    for i, layer in enumerate(network.layers):
        # Layer by layer: the gradients of all layers at once would be as many copies of the net as there are streams.
        squared = _gradient_squared(layer, forward.values[layer.input], cotangents[layer.output])
        gradient_norm, relative_error = _root_of_sum(squared, network.classes)
        values[:, i] = weight_noise_sensitivity(norms[i], layer.parameters, gradient_norm, logit_norm)
        errors[:, i] = relative_error * values[:, i]
    return index, values, errors


def _directions(classes: int, index: NDArray[np.int64], seed: int) -> Array:
    """Orthonormal directions of the logits, one frame per row, float32, `(min(K, 10), n, K)`."""
    if classes <= DIRECTIONS:
        return np.eye(classes, dtype=np.float32)[:, None].repeat(len(index), axis=1)
    # A Gaussian matrix has a uniform frame, which makes the mean right; QR in float64 leaves it orthogonal in float32.
    g = normal_noise(seed, _AT_LOGITS, index, 0, classes * DIRECTIONS).reshape(len(index), classes, DIRECTIONS)
    return np.moveaxis(np.linalg.qr(g.astype(np.float64)).Q, 2, 0).astype(np.float32)


def _root_of_sum(squared: Float64Array, classes: int) -> tuple[Float64Array, Float64Array]:
    """Root of the sum over all logits, and its relative standard error, from some directions `(s, n)`, (n,) each.

    The error is that of a sample without replacement: nothing is left of it when s = K.
    """
    count = len(squared)
    mean = squared.mean(axis=0)
    # A root has half the relative error of what it is taken of.
    variance = squared.var(axis=0, ddof=1) / count * (1 - count / classes) if count < classes else np.zeros_like(mean)
    return np.sqrt(classes * mean), ratio(np.sqrt(variance), 2 * mean)


def _gradient_squared(layer: Layer, x: Array, c: Array) -> Float64Array:
    """Squared norm of the gradient with respect to A^i of every stream and row, `(s, n)`, some rows at a time."""
    # The patches that the layer's input is cut into, and the gradients of all streams, are what takes the memory.
    per_row = layer.positions * (layer.parameters // layer.operator.channels) + len(c) * layer.parameters
    step = max(1, _BLOCK_ENTRIES // per_row)
    blocks = (slice(start, start + step) for start in range(0, len(x), step))
    return np.concatenate([layer.operator.weight_cotangent_squared(x[b], c[:, b]) for b in blocks], axis=1)


def rows_of_noise(measured: int) -> tuple[int, int]:
    """Return how many measured rows the sensitivity and the errors are computed at, a small part of the whole cost.

    >>> rows_of_noise(1000), rows_of_noise(100), rows_of_noise(10)
    ((100, 250), (20, 25), (10, 5))
    """
    wanted = (min(_SENSITIVITY_ROWS, measured // 10), min(_ERROR_ROWS, measured // 4))
    sensitivity, errors = (min(measured, max(least, rows)) for least, rows in zip(_LEAST_ROWS, wanted, strict=True))
    return sensitivity, errors


def cut_to_memory(network: Network, batches: Iterable[Batch], streams: int) -> Iterator[Batch]:
    """Cut batches smaller where their activations and that many streams of cotangents would not fit in memory."""
    size = max(1, _BATCH_BYTES // (4 * (streams + 1) * sum(map(prod, network.shapes.values()))))
    for batch in batches:
        for start in range(0, len(batch.index), size):
            part = slice(start, start + size)
            yield Batch(batch.index[part], batch.inputs[part], batch.labels[part])
