"""A trained network thinned: most of its weights driven to zero while it goes on deciding as it did.

What is lowered is the cross-entropy of the wanted decisions, its own where they are right, and the price of its bits.
A weight between two levels of its lattice costs what lies between their prices in proportion. So one near zero is drawn
to it with the force `price * bits / step` and stays there unless the loss pulls harder: unless it promises more per bit
than a bit costs. One beyond the first level is drawn hardly at all. The rows see a weight nearer to zero than to the
first level as zero, but its slope is followed all the same, so that it can come back. Prices follow the network: rows
and columns that are nearly empty become dear, so whole units and inputs go first. The steps are those of Adam (Kingma,
Ba 2015), with the force as a proximal step in its metric.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.space import LevelVector, Space
from onnxbound.compressors.prices import LARGEST, Prices
from onnxbound.linear.gradient import CrossEntropy
from onnxbound.results import Float64Array

_BATCH = 256
_RATE = 0.04
"""Length of the first steps, in steps of the lattice; it falls to 0 in proportion to what is left to do."""

_MEAN_DECAY, _SQUARE_DECAY = 0.9, 0.99
_TINY = 1e-8

_COARSE = 0.75
"""Step of a tensor's lattice, over the root mean square of its entries that are not 0."""

_FIRST_COARSE = 0.5
"""The same of all entries, before there are any that are 0."""

_BIAS_FINE = 0.5
_STEP_KEPT = 0.6
_LOOK = 50
"""Prices and steps are found again after so many batches."""

_RISING = 0.5
"""Share of the batches in which the price rises from 0."""

_SHARPNESS = 4.0
"""Median gap of the two largest logits of the trained network, over the temperature of the loss."""

_ALIVE = 0.5
"""Entries below this share of a step are 0."""

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Thin:
    """What is left of a network.

    Attributes:
        parameters: Less the prior, most of them 0, (P,).
        steps: Of the lattice that was priced, one per tensor.
    """

    parameters: Float64Array
    steps: Float64Array

    def largest(self, tensor: NDArray[np.int64], count: int) -> Float64Array:
        """The parameters with only so many left of them, those of the most steps."""
        order = np.argsort(-np.abs(self.parameters) / self.steps[tensor], kind="stable")
        kept = self.parameters.copy()
        kept[order[count:]] = 0
        return kept


class Thinning:
    """One run, from the trained network to a price.

    Args:
        space: Of the network.
        outputs: Where rows come from.
        logits: Of the trained network at all rows, (m, K).
        wanted: The classes that it is to decide for, (m,); -1 for rows that do not matter.
        generator: Of the order of the rows.
    """

    def __init__(
        self,
        space: Space,
        outputs: Outputs,
        logits: Float64Array,
        wanted: NDArray[np.int64],
        generator: np.random.Generator,
    ) -> None:
        self._space, self._outputs, self._generator = space, outputs, generator
        self._wanted = wanted
        self._loss = CrossEntropy(space.network(space.trained), outputs.device, outputs.threads)
        self._kept = np.flatnonzero(wanted >= 0)
        ordered = np.sort(logits, axis=1)
        gap = float(np.median(ordered[:, -1] - ordered[:, -2]))
        self._temperature = max(gap, float(np.finfo(np.float32).tiny)) / _SHARPNESS
        self._rows = len(wanted)

    def run(self, batches: int, price: float) -> Iterator[Thin]:
        """Thin the trained network; yields what there is whenever prices are found again, and at the end."""
        space, tensor = self._space, self._space.tensor
        at = space.trained.astype(np.float32)
        steps = self._measured(at, np.zeros(len(space.starts)), _FIRST_COARSE)
        mean, square = np.zeros_like(at), np.zeros_like(at)
        force = length = np.zeros_like(at)
        batches = batches if self._kept.size else 0
        for number, places in enumerate(self._batches(batches), 1):
            left = 1 - (number - 1) / batches
            if number % _LOOK == 1:
                steps = _STEP_KEPT * steps + (1 - _STEP_KEPT) * self._measured(at, steps, _COARSE)
                length = steps[tensor].astype(np.float32)
                force = self._force(at, steps).astype(np.float32)
                yield Thin(_seen(at, length).astype(np.float64), steps)
            slope = self._slope(_seen(at, length), places)
            mean += np.float32(1 - _MEAN_DECAY) * (slope - mean)
            square += np.float32(1 - _SQUARE_DECAY) * (slope * slope - square)
            rate = length / (np.sqrt(square / np.float32(1 - _SQUARE_DECAY**number)) + np.float32(_TINY))
            rate *= np.float32(_RATE * left)
            at -= rate * mean * np.float32(1 / (1 - _MEAN_DECAY**number))
            rate *= force * np.float32(price / self._rows * min(1, (1 - left) / _RISING))
            at = np.copysign(np.maximum(np.abs(at) - rate, 0), at)
        yield Thin(_seen(at, length).astype(np.float64), steps)

    def _batches(self, count: int) -> Iterator[NDArray[np.int64]]:
        """Rows that matter, each once before any comes again."""
        order = self._kept[:0]
        for _ in range(count):
            if order.size < _BATCH:
                order = np.concatenate([order, self._generator.permutation(self._kept)])
            yield np.sort(order[:_BATCH])
            order = order[_BATCH:]

    def _slope(self, at: Float32Array, places: NDArray[np.int64]) -> Float32Array:
        """Of the mean loss, (P,)."""
        network, rows = self._space.network(at), self._outputs.inputs(places)
        return self._loss.gradient(network, rows, self._wanted[places], self._temperature).astype(np.float32)

    def _measured(self, at: Float32Array, steps: Float64Array, coarse: float) -> Float64Array:
        """Steps by the size of the entries that are not 0; those before where there are none."""
        alive = np.abs(at) > _ALIVE * steps[self._space.tensor]
        squares = self._space.mean_per_tensor(at**2, np.flatnonzero(alive))
        found = coarse * np.sqrt(squares) * np.where(self._space.bias, _BIAS_FINE, 1)
        return np.maximum(np.where(found > 0, found, steps), _TINY)

    def _force(self, at: Float32Array, steps: Float64Array) -> Float64Array:
        """Bits that a move away from zero costs, per unit of length, (P,)."""
        tensor = self._space.tensor
        levels: LevelVector = np.rint(at / steps[tensor]).clip(-LARGEST, LARGEST).astype(np.int64)
        prices: Prices = self._space.prices(levels)
        below = np.minimum(np.floor(np.abs(at) / steps[tensor]), LARGEST - 1).astype(np.int64)
        more = prices.size[tensor, below + 1] - prices.size[tensor, below]
        more += np.where(below == 0, prices.nonzero - prices.zero, 0)
        return np.maximum(more, 0) / steps[tensor]


def _seen(at: Float32Array, length: Float32Array) -> Float32Array:
    """The parameters as the rows see them."""
    return np.where(np.abs(at) < _ALIVE * length, np.float32(0), at)
