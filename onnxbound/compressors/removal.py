"""Removal of channels and hidden units, so that the dense graph itself gets smaller; the layers behind make up for it.

A layer that reads a unit with its entries G errs without it by tr(W_G (H^-1_GG)^-1 W_G^T) if its other entries make up
for it, H = E[z z^T] (Hassibi, Stork 1993, for groups). Of all units the cheapest go, a share of the net at a time; then
every layer behind them gets the weights that bring it nearest to what it computed in the original.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from onnxbound.compressors.calibrated import damped_by, held_near, moments
from onnxbound.compressors.channels import Channels, Numbers
from onnxbound.compressors.rounder import Rounder
from onnxbound.compressors.sites import Site, sites
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.graph.rewrite import Rewriter
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array

_DAMPING = 1e-3
"""Less than rounding takes: what makes up for a unit has to move farther."""

_DEAD = 1e-12
"""Units that matter less than this, over all, are never active, or nobody reads them."""


class Removal:
    """A network that gets narrower and narrower."""

    def __init__(self, rounder: Rounder, importance: Mapping[int, float], folder: Path) -> None:
        """What follows is written into a folder.

        Args:
            rounder: Has the original.
            importance: Layer index to how far a relative error of its output moves the logits.
            folder: Has to outlive the networks.
        """
        self._original = self._now = rounder
        self._importance, self._folder = importance, folder
        self._units: dict[str, Numbers] = {}

    def narrower(self, share: float) -> Rounder | None:
        """The network without a further share of its weights; with 0 without what is dead. None where nothing may go.

        Units go only where every layer can be rewritten, and was chosen.
        """
        before = self._now.network
        if not self._original.is_whole:
            return None
        model = Rewriter(before).model
        channels = Channels(model, before.output)
        gone = self._cheapest(channels, share)
        if not len(gone):
            return None
        left = channels.without(model, gone)
        path = self._folder / f"narrower{len(list(self._folder.iterdir()))}.onnx"
        path.write_bytes(model.SerializeToString())
        network = load(path, **before.reading.of_model())
        if network.depth != before.depth:
            return None
        for weight, keep in left.items():
            self._units[weight] = self._units[weight][keep] if weight in self._units else keep
        met = self._restore(network, path)
        self._now = self._original.of(load(path, **before.reading.of_model()), met)
        return self._now

    def _cheapest(self, channels: Channels, share: float) -> Numbers:
        """Units whose removal does least damage per weight, but never all of a tensor."""
        free = channels.free
        damage, size = np.zeros(free.size), np.zeros(free.size)
        for index, site in self._now.sites.items():
            numbers = channels.reads(site.weight)
            if numbers is not None:
                damage += self._importance[index] ** 2 * self._errors(index, site, numbers, free)
        for each in channels.slices:
            if not each.in_shape:
                dims = channels.dims[each.tensor]
                size += prod(dims) // dims[each.axis] * _count(each.numbers, free)
        order = np.argsort(damage / np.maximum(size, 1), kind="stable")
        dead = damage <= _DEAD
        most = share * sum(site.matrix.size for site in self._now.sites.values())
        enough = np.cumsum(size[order]) <= most
        enough[:1] |= share > 0
        chosen = free[order][dead[order] | enough]
        for each in channels.slices:
            whole = np.unique(each.numbers)
            if np.isin(whole, chosen).all():
                kept = free[np.isin(free, whole)][np.argmax(damage[np.isin(free, whole)])]
                chosen = chosen[chosen != kept]
        return chosen

    def _errors(self, index: int, site: Site, numbers: Numbers, free: Numbers) -> Float64Array:
        """Of one layer without each of the units, over its whole output, (units,)."""
        moment = self._now.calibration.moments[index][0]
        inverse = np.linalg.inv(damped_by(moment, _DAMPING)[0])
        whole = max(float(np.vdot(site.matrix @ moment, site.matrix)), 1e-300)
        entries = np.repeat(numbers, site.matrix.shape[1] // len(numbers))
        result = np.zeros(free.size)
        alive = np.diag(moment) > 0
        for place in np.flatnonzero(np.isin(free, numbers)):
            mine = np.flatnonzero((entries == free[place]) & alive)
            if mine.size:
                w = site.matrix[:, mine]
                result[place] = np.vdot(w, np.linalg.solve(inverse[np.ix_(mine, mine)], w.T).T) / whole
        return result

    def _restore(self, network: Network, path: Path) -> dict[int, Array]:
        """Write weights that bring each layer nearest to the original's outputs; what the layers meet then."""
        rewriter, found = Rewriter(network), sites(network)
        original = self._original
        walk = original.calibration.walk_of(network, found)
        feeds: dict[str, Array] = {}
        met: dict[int, Array] = {}
        for index in sorted(found):
            site, old = found[index], original.sites[index]
            units = self._units.get(site.weight, np.arange(len(old.matrix)))
            x, z = original.calibration.original[index], original.calibration.met(walk, site, feeds)
            met[index] = z
            if not feeds and z.shape == x.shape:
                continue
            site = _nearest(site, old.matrix[units], old.offset[units], x if len(x) == 1 else x[units], z)
            feeds |= site.fed(site.matrix, site.offset)
            weight = site.matrix.reshape(site.layer.operator.weight.shape)
            rewriter.set_weight(site.layer, weight)
            if site.bias is not None:
                value = rewriter.constant(site.bias)
                assert value is not None
                rewriter.set_constant(site.bias, site.offset.astype(value.dtype))
        path.write_bytes(rewriter.model.SerializeToString())
        return met


def _nearest(site: Site, matrix: Float64Array, offset: Float64Array, x: Array, z: Array) -> Site:
    """A layer with the weights and the bias that bring W' z + b' nearest to W x + b."""
    centred = site.bias is not None
    groups = len(z)
    parts, near = np.split(matrix, groups), np.split(site.matrix, groups)
    found, moved = [], []
    for part, old, a, b in zip(parts, near, x, z, strict=True):
        cross, own = moments(a[None], b[None], centred=centred)
        damped, damping = damped_by(own[0], _DAMPING)
        found.append(held_near(part @ cross[0], old, damped, damping))
        moved.append(part @ a.mean(axis=0, dtype=np.float64) - found[-1] @ b.mean(axis=0, dtype=np.float64))
    shift = np.concatenate(moved) if centred else 0
    return replace(site, matrix=np.concatenate(found), offset=offset + shift)


def _count(numbers: Numbers, wanted: Numbers) -> Float64Array:
    """How often each wanted number occurs; both without order, the wanted ones sorted."""
    places = np.searchsorted(wanted, numbers)
    places = np.minimum(places, max(len(wanted) - 1, 0))
    hits = places[wanted[places] == numbers] if len(wanted) else places[:0]
    return np.bincount(hits, minlength=len(wanted)).astype(np.float64)
