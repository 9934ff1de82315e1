"""A trained network thinned: most of its weights driven to zero while it goes on deciding as it did.

What is lowered is the cross-entropy of the wanted decisions, its own where they are right, and the price of its bits.
A weight between two levels of its lattice costs what lies between their prices in proportion. So one near zero is drawn
to it with the force `price * bits / step` and stays there unless the loss pulls harder: unless it promises more per bit
than a bit costs. Prices follow the network: rows and columns that are nearly empty become dear, so whole units and
inputs go first. The steps are those of Adam, with the force as a proximal step in its metric.

At first the rows see every weight as it is, but for those that are nearer to zero than to the first level. In the
second half they see the nearest levels, while the gradient moves the weights behind them (the straight-through
estimator, Bengio, Leonard, Courville 2013): so the network makes up for the rounding, and a weight can come back from
zero. On a coarse lattice most of what is left ends at one step, up or down.
"""

from collections.abc import Callable, Iterator

import numpy as np

from onnxbound.certificates.loss import Loss
from onnxbound.certificates.prices import LARGEST, Prices, nearest_levels
from onnxbound.certificates.space import LevelVector, Space
from onnxbound.codec.network_code import rounded_step
from onnxbound.linear.adam import Adam, Float32Array
from onnxbound.linear.gradient import in_turn
from onnxbound.results import Float64Array

_RATE = 0.06
"""Length of the first steps, in steps of the lattice; it falls to 0 with the square of what is left to do.

In proportion to it, the last steps are too long to settle: on MNIST, 8 % fewer bits, but 20 % more errors.
"""

_TINY = 1e-8
"""The shortest step of a lattice."""

_FIRST = 0.4
"""Share of the coarseness at which the lattice begins, before entries are 0."""

_BIAS_FINE = 0.5
_STEP_KEPT = 0.6
_LOOK, _LOOKS = 50, 60
"""Prices and steps are found again after so many batches at least, and so often at most."""

_RISING = 0.5
"""Share of the batches in which the price rises from 0."""

_ON_LATTICE = 0.5
"""Share of the batches that see the network on its lattice."""

_ALIVE = 0.5
"""Entries below this share of a step are 0."""


class Thinning:
    """One run, from the trained network to a price.

    Args:
        space: Of the network.
        loss: What is lowered.
        batch: Rows of a batch.
        generator: Of the order of the rows.
        told: Called with a number of batches as soon as they are done.
    """

    def __init__(
        self,
        space: Space,
        loss: Loss,
        batch: int,
        generator: np.random.Generator,
        told: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._space, self._loss, self._batch, self._generator, self._told = space, loss, batch, generator, told

    def run(self, batches: int, price: float, coarse: float) -> Iterator[tuple[LevelVector, Float64Array]]:
        """Thin the trained network.

        Args:
            batches: Of rows.
            price: Cross-entropy of all rows together per bit.
            coarse: Step of a tensor's lattice, over the root mean square of its entries that are not 0.

        Yields:
            Levels (P,) and steps, one per tensor, from time to time as soon as the network is on a lattice.
        """
        space, tensor = self._space, self._space.tensor
        at = space.trained.astype(np.float32)
        steps = self._measured(at, np.zeros(len(space.starts)), _FIRST * coarse)
        adam = Adam(at.size)
        force = length = np.zeros_like(at)
        batches = batches if self._loss.kept.size else 0
        look = max(_LOOK, -(-batches // _LOOKS))
        drawn = in_turn(self._loss.kept, self._batch, batches, self._generator)
        for number, places in enumerate(map(np.sort, drawn), 1):
            left = 1 - (number - 1) / batches
            on_lattice = left <= _ON_LATTICE
            if number % look == 1:
                steps = _written(_STEP_KEPT * steps + (1 - _STEP_KEPT) * self._measured(at, steps, coarse))
                length = steps[tensor].astype(np.float32)
                force = self._force(at, steps).astype(np.float32)
                self._told(number - max(1, number - look))
                if on_lattice:
                    yield nearest_levels(at, length), steps
            seen = nearest_levels(at, length) * length if on_lattice else _without_small(at, length)
            slope = self._loss.slope(seen, places).astype(np.float32)
            rate = length / adam.root(slope)
            rate *= np.float32(_RATE * left**2)
            at -= rate * adam.mean * adam.bias
            rate *= force * np.float32(price / self._loss.rows * min(1, (1 - left) / _RISING))
            at = np.copysign(np.maximum(np.abs(at) - rate, 0), at)
        self._told(batches - (batches - 1) // look * look if batches else 0)
        steps = _written(steps)
        yield nearest_levels(at, steps[tensor].astype(np.float32)), steps

    def _measured(self, at: Float32Array, steps: Float64Array, coarse: float) -> Float64Array:
        """Steps by the size of the entries that are not 0; those before where there are none."""
        alive = np.abs(at) > _ALIVE * steps[self._space.tensor]
        squares = self._space.mean_per_tensor(at**2, np.flatnonzero(alive))
        found = coarse * np.sqrt(squares) * np.where(self._space.bias, _BIAS_FINE, 1)
        return np.maximum(np.where(found > 0, found, steps), _TINY)

    def _force(self, at: Float32Array, steps: Float64Array) -> Float64Array:
        """Bits that a move away from zero costs, per unit of length, (P,)."""
        tensor = self._space.tensor
        prices: Prices = self._space.prices(nearest_levels(at, steps[tensor]))
        below = np.minimum(np.floor(np.abs(at) / steps[tensor]), LARGEST - 1).astype(np.int64)
        more = prices.size[tensor, below + 1] - prices.size[tensor, below]
        more += np.where(below == 0, prices.nonzero - prices.zero, 0)
        return np.maximum(more, 0) / steps[tensor]


def _without_small(at: Float32Array, length: Float32Array) -> Float32Array:
    """The parameters, those that are nearer to 0 than to the first level left out."""
    return np.where(np.abs(at) < _ALIVE * length, np.float32(0), at)


def _written(steps: Float64Array) -> Float64Array:
    """The nearest steps that can be written."""
    return np.array([rounded_step(step) for step in steps])
