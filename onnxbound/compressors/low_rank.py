"""Layers of low rank, at the inputs that they meet.

Of all W^ of rank r, U U^T W moves the outputs least, U the first r left singular vectors of W H^(1/2), H = E[x x^T]:
E|(W - W^) x|^2 = |(W - W^) H^(1/2)|_F^2 (Eckart, Young 1936).
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from onnxbound.compressors.calibrated import Rounded, damped_by, held_near, moments, with_mean
from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.rounder import Rounder
from onnxbound.compressors.sites import Site
from onnxbound.compressors.svd import Factors
from onnxbound.compressors.write import saves
from onnxbound.graph.rewrite import multiply_adds
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

Ranks = Mapping[int, int]
"""Layer index to its rank; layers that are left out stay as they are."""


def ranks_of(rounder: Rounder, importance: Mapping[int, float], share: float) -> Ranks:
    """Ranks at which the net takes at most a share of its multiply-adds, the worst damage of a layer being least.

    The damage of a layer is (importance * error)^2, the error being that of its outputs, relative, when it alone is
    changed.

    Args:
        rounder: Has the network.
        importance: Layer index to how far a relative error of its output moves the logits.
        share: Of the multiply-adds of all layers.
    """
    layers = rounder.network.layers
    uses = Counter(layer.weight_name for layer in layers)
    damage = {
        index: importance[index] ** 2 * _errors(site.matrix, rounder.calibration.moments[index][0])
        for index, site in rounder.sites.items()
        if uses[site.weight] == 1 and saves(site.layer, 1)
    }
    whole = sum(multiply_adds(layer, 0)[0] for layer in layers)

    def at(most: float) -> dict[int, int]:
        least = {index: 1 + int(np.argmax(errors <= most)) for index, errors in damage.items()}
        return {index: rank for index, rank in least.items() if saves(layers[index - 1], rank)}

    def cost(ranks: Ranks) -> int:
        saved = (np.subtract(*multiply_adds(layers[index - 1], rank)) for index, rank in ranks.items())
        return whole - int(sum(saved))

    steps = np.unique(np.concatenate([np.zeros(1), *damage.values()]))
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if cost(at(steps[middle])) <= share * whole else (middle + 1, high)
    return at(steps[low])


def low_rank(rounder: Rounder, ranks: Ranks) -> CompressedNetwork:
    """The network with some layers of low rank, each at what those before it give."""
    calibration = rounder.calibration
    found: dict[int, Rounded] = {}
    feeds: dict[str, Array] = {}
    calibration.walk.begin()
    for index in sorted(ranks):
        site, x = rounder.sites[index], calibration.original[index]
        z = calibration.met(calibration.walk, site, feeds) if feeds else x
        found[index] = at_rank(site, x, z, ranks[index])
        feeds |= found[index].fed(site)
    return rounder.described(found)


def at_rank(site: Site, x: Array, z: Array, rank: int) -> Rounded:
    """A layer that met x, with the nearest W^ of a rank where it meets z, (1, samples, entries) both."""
    centred = site.bias is not None
    (cross,), (own,) = moments(x, z, centred=centred)
    damped, damping = damped_by(own)
    wanted = held_near(site.matrix @ cross, site.matrix, damped, damping)
    left = _directions(wanted, damped)[0][:, :rank].astype(np.float32).astype(np.float64)
    right = (left.T @ wanted).astype(np.float32).astype(np.float64)
    return with_mean(site, Factors(left, right, 32), x, z)


def _directions(matrix: Float64Array, moment: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Left singular vectors of W H^(1/2), as columns, and the squares of the singular values, the largest first."""
    squares, directions = np.linalg.eigh(matrix @ moment @ matrix.T)
    return directions[:, ::-1], np.maximum(squares[::-1], 0.0)


def _errors(matrix: Float64Array, moment: Float64Array) -> Float64Array:
    """|(W - W^) x|^2 over |W x|^2 at each rank from 1 on."""
    squares = _directions(matrix, moment)[1]
    return np.asarray(np.append(np.cumsum(squares[:0:-1])[::-1], 0.0) / max(float(squares.sum()), 1e-300))
