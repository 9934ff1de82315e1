"""Errors when the weights of one layer alone are noisy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Batch
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.row_norms import squared_norms
from onnxbound.linear.threads import part_rows, parts, side_by_side
from onnxbound.linear.values import all_values, changed_values
from onnxbound.operators.operator import Array
from onnxbound.operators.weighted import Weighted
from onnxbound.results import Float64Array
from onnxbound.rng import normal_noise
from onnxbound.stability.row_margins import margins
from onnxbound.stability.weight_noise import cut_to_memory, quietly

DRAWS = 4
"""Noise per layer: where it does harm, draws differ by more than samples of rows do."""

RADIUS = 0.2
"""Relative length of the noise under which errors are counted."""

_AT_WEIGHTS = 3 << 32
"""Stands in the counter of the noise where layers stand, and keeps it independent of other noise."""

_BLOCK_ENTRIES = 1 << 22


@dataclass(frozen=True, slots=True)
class NoisyErrors:
    """Share of rows that are misclassified when the weights of one layer alone are noisy.

    Attributes:
        rows: How many were tried.
        radius: |dA|_F / |A^i|_F.
        seed: Of the noise.
        clean: Share without noise.
        noisy: Share under each draw, (d, draws).
    """

    rows: int
    radius: float
    seed: int
    clean: float
    noisy: Float64Array

    def over_draws(self, layer: int) -> tuple[float, float]:
        """Return the mean of one layer's shares, by its 1-based index, and the standard error of that mean."""
        shares = self.noisy[layer - 1]
        return float(shares.mean()), float(shares.std(ddof=1) / sqrt(len(shares)))


def errors_under_weight_noise(
    network: Network,
    batches: Iterable[Batch],
    *,
    seed: int,
    draws: int = DRAWS,
    radius: float = RADIUS,
    threads: int | None = None,
) -> NoisyErrors:
    """Count the rows with no positive margin when the weights of one layer are moved by a given relative length.

    Args:
        network: Any network.
        batches: Rows.
        seed: Of the noise.
        draws: Noise per layer; all rows see the same.
        radius: |dA|_F / |A^i|_F, exactly.
        threads: Threads; None for all cores.
    """
    work, rows = network.cast(np.float32), 0
    wrong = np.zeros(1 + network.depth * draws, np.int64)
    for batch in cut_to_memory(network, batches, 1):
        logits = noisy_logits(work, batch.inputs, seed=seed, draws=draws, radius=radius, threads=threads)
        wrong += [_wrong(found, batch.labels) for found in logits]
        rows += len(batch.index)
    return NoisyErrors(rows, radius, seed, float(wrong[0] / rows), wrong[1:].reshape(-1, draws) / rows)


def noisy_logits(
    network: Network, rows: Array, *, seed: int, draws: int, radius: float, threads: int | None
) -> Iterator[Float64Array]:
    """Logits `(n, K)`, first without noise, then of each layer in turn with every draw of noise in its weights.

    Args:
        network: Cast to float32.
        rows: `(n, *input_shape)`.
        seed: Of the noise.
        draws: Noise per layer; all rows see the same.
        radius: |dA|_F / |A^i|_F, exactly.
        threads: Threads; None for all cores.
    """
    where = parts(len(rows), part_rows(network))
    clean = side_by_side(partial(_clean, network, rows), where, threads)
    yield np.concatenate([values[network.output] for values in clean]).astype(np.float64)
    for layer in network.layers:
        noisy = partial(_again, network, layer, clean, seed, radius)
        yield from side_by_side(noisy, range(draws), threads)


@quietly
def _wrong(logits: Float64Array, labels: NDArray[np.int64]) -> int:
    return int(np.sum(~(margins(logits, labels) > 0)))


@quietly
def _clean(network: Network, rows: Array, part: slice) -> dict[str, Array]:
    return all_values(network, rows[part].astype(np.float32, copy=False))


@quietly
def _again(
    network: Network, layer: Layer, clean: list[dict[str, Array]], seed: int, radius: float, draw: int
) -> Float64Array:
    """Logits with a draw of noise in the weights of a layer, part after part."""
    operator, keep = _noisy(layer, seed, draw, radius), frozenset([network.output])
    found = []
    for values in clean:
        moved = operator.act(values[layer.input])
        found.append(changed_values(network, values, layer.output, moved, keep, quickly=True)[network.output])
    return np.concatenate(found).astype(np.float64)


def _noisy(layer: Layer, seed: int, draw: int, radius: float) -> Weighted:
    """The layer with A^i + dA."""
    matrix = layer.operator.matrix
    units, entries = matrix.shape
    step = max(1, _BLOCK_ENTRIES // entries)
    result = np.empty((units, entries), np.float32)
    for start in range(0, units, step):
        band = np.arange(start, min(start + step, units))
        result[band] = normal_noise(seed, _AT_WEIGHTS + layer.index, band, draw, entries)
    length = sqrt(layer.operator.frobenius_squared() / squared_norms(result, 1).sum())
    result *= np.float32(radius * length)
    result += matrix
    return replace(layer.operator, weight=result.reshape(layer.operator.weight.shape))
