"""What levels cost in bits, guessed beforehand: a stand-in for the coder that a search can ask for every entry.

The coder learns, entry by entry, how full the filter, the channel and the place of an entry are. The same densities,
the entry itself left out, predict here by logistic regression whether it is zero. Where zeros are many they become
cheap and what is not zero dear, so that a search which minds the price empties whole filters and channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.results import Float64Array

LARGEST = 40
"""Largest level that is tried; what is larger needs a larger step."""

_PRIOR_COUNT = 6.0
_PRIOR_DECAY = 3.0
_SMALLEST_REGRESSION = 100
_RIDGE = 1.0
_NEWTON_STEPS = 8
_SIGN_BITS = 1.0
_LEAST = 1e-3
"""No entry is taken for more certain than this: levels move between the guess and the coder."""


def nearest_levels(
    values: Float64Array | NDArray[np.float32], steps: Float64Array | NDArray[np.float32]
) -> NDArray[np.int64]:
    """The places of a lattice that entries lie nearest to, (P,), no larger than `LARGEST`; a step per entry."""
    return np.rint(values / steps).clip(-LARGEST, LARGEST).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Prices:
    """Bits of the levels of P entries in several tensors.

    Attributes:
        zero: Of the level 0, per entry, (P,).
        nonzero: Of any other level, its sign with it, per entry, (P,).
        size: Of each magnitude 0 .. LARGEST beyond that, per tensor, (tensors, LARGEST + 1); that of 0 is 0.
    """

    zero: Float64Array
    nonzero: Float64Array
    size: Float64Array

    def bits(self, levels: NDArray[np.int64], tensor: NDArray[np.int64]) -> float:
        """Of all levels together; `tensor` (P,) says which tensor an entry belongs to."""
        flags = np.where(levels == 0, self.zero, self.nonzero)
        return float(flags.sum() + self.size[tensor, np.abs(levels)].sum())

    def of(self, entries: NDArray[np.int64]) -> "Prices":
        """Of some entries alone."""
        return Prices(self.zero[entries], self.nonzero[entries], self.size)


def prices(tensors: Sequence[NDArray[np.int64]]) -> Prices:
    """Prices that fit some levels.

    Args:
        tensors: Levels as filters, channels, height, width.
    """
    chances = np.concatenate([_chance_of_nonzero(levels != 0).ravel() for levels in tensors])
    return Prices(
        zero=-np.log2(1 - chances),
        nonzero=_SIGN_BITS - np.log2(chances),
        size=np.stack([_magnitude_bits(np.abs(levels).ravel()) for levels in tensors]),
    )


def _magnitude_bits(magnitudes: NDArray[np.int64]) -> Float64Array:
    """-log2 of how often each magnitude occurs among those that are not 0, with a geometric prior of a few counts."""
    prior = np.exp(-np.arange(1, LARGEST + 1) / _PRIOR_DECAY)
    counts = _PRIOR_COUNT * prior / prior.sum()
    counts += np.bincount(np.minimum(magnitudes, LARGEST), minlength=LARGEST + 1)[1:]
    return np.concatenate([[0.0], -np.log2(counts / counts.sum())])


def _chance_of_nonzero(occupied: NDArray[np.bool_]) -> Float64Array:
    """Probability that each entry is not 0, given how full its surroundings are, of the same shape."""
    everywhere = (occupied.sum() + 0.5) / (occupied.size + 1)
    features = [
        _log_odds(_others_density(occupied, axes, everywhere)) - np.log(everywhere / (1 - everywhere))
        for axes in ((1, 2, 3), (2, 3), (0,), (0, 2, 3))
        if 1 < np.prod([occupied.shape[axis] for axis in axes]) < occupied.size
    ]
    if not features or occupied.size < _SMALLEST_REGRESSION:
        return np.full(occupied.shape, everywhere).clip(_LEAST, 1 - _LEAST)
    columns = np.stack([np.ones(occupied.size), *(feature.ravel() for feature in features)], axis=1)
    weights = _logistic_regression(columns, occupied.ravel().astype(np.float64), everywhere)
    return (1 / (1 + np.exp(-columns @ weights))).reshape(occupied.shape).clip(_LEAST, 1 - _LEAST)


def _others_density(occupied: NDArray[np.bool_], axes: tuple[int, ...], prior: float) -> Float64Array:
    """The share of nonzero entries along some axes, the entry itself left out, two of the prior's counted in."""
    count = np.prod([occupied.shape[axis] for axis in axes]) - 1
    others = occupied.sum(axis=axes, keepdims=True) - occupied
    return np.asarray((others + 2 * prior) / (count + 2))


def _log_odds(share: Float64Array) -> Float64Array:
    return np.asarray(np.log(share) - np.log1p(-share))


def _logistic_regression(columns: Float64Array, outcome: Float64Array, start: float) -> Float64Array:
    """Newton's method with a ridge on all but the constant."""
    ridge = _RIDGE * np.eye(columns.shape[1])
    ridge[0, 0] = 0
    weights = np.zeros(columns.shape[1])
    weights[0] = np.log(start / (1 - start))
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(columns @ weights, -30, 30)))
        slope = columns.T @ (outcome - chance) - ridge @ weights
        bend = (columns * (chance * (1 - chance) + 1e-9)[:, None]).T @ columns + ridge
        move = np.linalg.solve(bend, slope)
        weights = weights + move / max(1.0, float(np.abs(move).max()))
    return weights
