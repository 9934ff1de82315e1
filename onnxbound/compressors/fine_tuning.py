"""A rounded network fine-tuned: levels and biases are moved until the whole network decides as it should.

Rounding keeps what each layer computes, one after the other. Here the cross-entropy of the logits is lowered by all
layers together. What is wanted of a row is the softmax of the original's logits (knowledge distillation, Hinton,
Vinyals, Dean 2015), mixed with the label. Rows see the nearest levels, and the gradient moves the numbers behind them
(the straight-through estimator, Bengio, Leonard, Courville 2013). Scales stay, so the file takes no more bytes.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from math import sqrt

import numpy as np

from onnxbound.compressors.calibrated import Rounded
from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.grid import Grid, spread
from onnxbound.compressors.rounder import Rounder
from onnxbound.compressors.widths import Plan
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.graph.small_integers import largest_level
from onnxbound.linear.adam import Adam, Float32Array
from onnxbound.linear.curvature import softmax
from onnxbound.linear.gradient import CrossEntropy, gaps, in_turn
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.logits import Logits

_BATCH, _BATCHES, _FEWEST = 128, 160, 30
"""Rows of a batch, batches at most, and those below which nothing is gained."""

_PASSES = 4
"""A row is seen so often at most: what is learnt from few rows does not hold for others."""

_WORK, _QUICK = 12 * 10**10, 12 * 10**9
"""Multiply-adds that the forward passes of all rows in all networks may take, and those where no test rows decide."""

_RATE, _BIAS_RATE = 0.03, 0.01
"""Length of the first steps: of weights in steps of their grid; of biases in those times sqrt(entries of a unit).

Of 160 batches; of fewer they are longer by the root of the quotient.
"""

_LABEL = 0.3
"""Share of the label in what is wanted."""

_SHARPNESS = 2.0
"""Median gap of the original's two largest logits, over the temperature of the loss."""

_LEAST_TEMPERATURE = 1e-30
"""With less, single precision overflows; it is 0 where most rows are undecided."""


class FineTuning:
    """Rows at which rounded networks are fine-tuned, as long as there is work left."""

    def __init__(
        self, original: Logits, rows: Rows, device: Device, threads: int | None, seed: int, *, quick: bool = False
    ) -> None:
        """`rows` have played no part where plans are chosen by others; `quick` where no test rows decide."""
        self._original, self._rows, self._device, self._threads, self._seed = original, rows, device, threads, seed
        self._work = _QUICK if quick else _WORK

    def tuned(self, rounder: Rounder, plan: Plan, block: int = 0) -> CompressedNetwork | None:
        """The network under a plan, fine-tuned; None where rows are too few or undecided, or the work is done."""
        network = rounder.network
        affordable = self._work // max(1, network.multiply_adds)
        batches = min(_BATCHES * _BATCH, _PASSES * self._rows.count, affordable) // _BATCH
        if batches < _FEWEST or not (temperature := self._temperature) > _LEAST_TEMPERATURE:
            return None
        self._work -= batches * _BATCH * network.multiply_adds
        moving = _Moving(rounder, rounder.calibration.rounded(plan, block))
        entropy = CrossEntropy(moving.network(), self._device, self._threads)
        drawn = in_turn(self._rows.index, _BATCH, batches, np.random.default_rng(self._seed))
        for number, places in enumerate(map(np.unique, drawn)):
            batch = self._rows.batch(places)
            logits = self._original.run(batch.inputs)
            labels = np.eye(network.classes)[batch.labels]
            wanted = (1 - _LABEL) * softmax(logits / temperature) + _LABEL * labels
            views = [batch.inputs.astype(np.float32, copy=False)]
            rate = sqrt(_BATCHES / batches) * (1 - number / batches) ** 2
            slopes = temperature * entropy.gradient(moving.network(), views, wanted, temperature)
            if not np.isfinite(slopes).all():
                return None
            moving.move(slopes, rate)
        return replace(rounder.described(moving.rounded()), fine_tuned=True)

    @cached_property
    def _temperature(self) -> float:
        """At which the loss is about as sharp for every network; 0 where most rows are undecided."""
        some = self._rows.batch(self._rows.index[:_BATCH])
        return float(np.median(gaps(self._original.run(some.inputs)))) / _SHARPNESS


class _Moving:
    """The numbers behind levels and biases, as one vector (P,)."""

    def __init__(self, rounder: Rounder, rounded: Mapping[int, Rounded]) -> None:
        self._rounder, self._start = rounder, rounded
        at: list[Array] = []
        step: list[Array] = []
        limit: list[Array] = []
        length: list[Array] = []
        for index, found in rounded.items():
            grid, site = _grid(found), rounder.sites[index]
            steps = np.broadcast_to(spread(grid.scales, grid.levels.shape[1], grid.block), grid.levels.shape)
            biases = np.ones(len(found.offset) if site.bias is not None else 0)
            at += [grid.matrix().ravel(), found.offset[: biases.size]]
            step += [steps.ravel(), np.zeros(biases.size)]
            limit += [np.full(grid.levels.size, float(largest_level(grid.width))), biases]
            wide = np.sqrt(grid.levels.shape[1]) * steps.mean(axis=1)
            length += [_RATE * steps.ravel(), _BIAS_RATE * wide[: biases.size]]
        self._at, self._step, self._limit, self._length = map(_flat, (at, step, limit, length))
        self._is_weight, self._adam = self._step > 0, Adam(self._at.size)

    def network(self) -> Network:
        """As rows see it, in float32."""
        return self._rounder.described(self.rounded()).numpy().cast(np.float32)

    def rounded(self) -> dict[int, Rounded]:
        """The nearest levels, and the biases."""
        levels = np.zeros_like(self._at)
        np.divide(self._at, self._step, out=levels, where=self._is_weight)
        levels = np.clip(np.rint(levels), -self._limit, self._limit)
        result, start = {}, 0
        for index, found in self._start.items():
            grid = _grid(found)
            middle = start + grid.levels.size
            end = middle + (len(found.offset) if self._rounder.sites[index].bias is not None else 0)
            moved = levels[start:middle].reshape(grid.levels.shape).astype(np.int64)
            offset = self._at[middle:end].astype(np.float64) if end > middle else found.offset
            result[index] = Rounded(replace(grid, levels=moved), offset)
            start = end
        return result

    def move(self, slopes: Float64Array, rate: float) -> None:
        """One step against slopes in the order of `parameters`, so long a part of the first."""
        found = of_sites(self._rounder, slopes)
        slope = _flat([part.ravel() for index in self._start for part in found[index]])
        root = self._adam.root(slope)
        self._at -= np.float32(rate) * self._length / root * (self._adam.mean * self._adam.bias)
        edge = np.where(self._is_weight, (self._limit + np.float32(0.5)) * self._step, np.float32(np.inf))
        self._at = np.clip(self._at, -edge, edge)


def of_sites(rounder: Rounder, slopes: Float64Array) -> dict[int, tuple[Float64Array, Float64Array]]:
    """Slopes of the layers as those of what the file holds: scales undone, layers that share a weight summed.

    Args:
        rounder: Has the network.
        slopes: In the order of `parameters`.

    Returns:
        Per site that of its weight, (h, n), and of its bias, (h,), or (0,) without one.
    """
    by_weight: dict[str, tuple[Float64Array, Float64Array]] = {}
    start = 0
    for layer in rounder.network.layers:
        operator, size = layer.operator, layer.operator.weight.size
        scale = np.ones(operator.channels) if operator.scale is None else operator.scale
        weight = slopes[start : start + size].reshape(len(scale), -1) * scale[:, None]
        start += size
        bias = np.zeros(0)
        if operator.bias is not None:
            bias = slopes[start : start + len(scale)] * scale
            start += len(scale)
        first = by_weight.get(layer.weight_name)
        by_weight[layer.weight_name] = (weight, bias) if first is None else (first[0] + weight, first[1])
    found = {index: by_weight[site.weight] for index, site in rounder.sites.items()}
    return {i: (weight, bias if rounder.sites[i].bias is not None else bias[:0]) for i, (weight, bias) in found.items()}


def _grid(found: Rounded) -> Grid:
    assert isinstance(found.grid, Grid)
    return found.grid


def _flat(parts: list[Array]) -> Float32Array:
    return np.concatenate(parts).astype(np.float32)
