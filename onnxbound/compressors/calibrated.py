"""A network rounded layer by layer, each at the inputs that the rounded layers before it give."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.compressors.grid import Grid, Half, Scales, full_scales
from onnxbound.compressors.second_order import rounded
from onnxbound.compressors.sites import Site
from onnxbound.compressors.svd import Factors
from onnxbound.compressors.walk import Walk
from onnxbound.graph.network import Network
from onnxbound.linear.threads import blas_threads
from onnxbound.operators.conv import Conv
from onnxbound.operators.operator import Array
from onnxbound.operators.windows import Windows
from onnxbound.results import Float64Array
from onnxbound.run.device import Device

_DAMPING = 0.01
"""Added to the diagonal of the moments, over its mean, so that no direction of a weight is free."""

_WIDE = 256
"""Entries of a unit from which on several threads multiply faster than one."""

_SAMPLES, _PER_ENTRY = 4096, 4
"""Patches of a layer that its moments are taken over, at least, and per entry of a unit."""


@dataclass(frozen=True)
class Rounded:
    """A site with its weight on a grid.

    Attributes:
        grid: Of W^, all groups; or numbers of 16 bits, or a product.
        offset: b^, so that the mean output is the original's, (h,).
    """

    grid: Grid | Half | Factors
    offset: Float64Array

    def fed(self, site: Site) -> dict[str, NDArray[np.float32]]:
        """Weight and bias as the file would have them."""
        return site.fed(self.grid.matrix(), self.offset)


class Calibration:
    """Rows at which the layers of a network are rounded."""

    def __init__(
        self,
        network: Network,
        found: Mapping[int, Site],
        rows: Array,
        device: Device,
        threads: int | None,
        seed: int,
        met: Mapping[int, Array] | None = None,
    ) -> None:
        """`met` is what its layers are known to meet at the rows; without it the network is run."""
        self._sites, self._rows, self._seed = found, rows, seed
        self._device, self._threads = device, threads
        self.walk = self.walk_of(network, found)
        self._known: dict[tuple[tuple[int, int, int], ...], Rounded] = {}
        self.original = met or {index: self.met(self.walk, found[index], {}) for index in sorted(found)}
        self.moments = {index: moments(x, x, centred=self._centred(index))[1] for index, x in self.original.items()}

    def walk_of(self, network: Network, found: Mapping[int, Site]) -> Walk:
        """These rows, on their way to what the layers of a network meet."""
        stops = {index: found[index].layer.input for index in sorted(found)}
        return Walk(network, found, stops, self._rows, self._device, self._threads)

    def _centred(self, index: int) -> bool:
        return self._sites[index].bias is not None

    def rounded(self, widths: Mapping[int, int], block: int = 0, between: Walk | None = None) -> dict[int, Rounded]:
        """The layers that have a width, in their order, each at what those before it give.

        Args:
            widths: Layer index to bits of a level.
            block: Entries of a unit that share a scale, where the format has that: in a matrix.
            between: The same network with something done between its layers.
        """
        result: dict[int, Rounded] = {}
        feeds: dict[str, NDArray[np.float32]] = {}
        done: tuple[tuple[int, int, int], ...] = ()
        walk = between or self.walk
        walk.begin()
        for index in sorted(widths):
            site, x = self._sites[index], self.original[index]
            apart = block if len(site.shape) == 2 and block < site.matrix.shape[1] else 0
            done += ((index, widths[index], apart),)
            known = self._known.get(done) if between is None else None
            if known is None:
                z = self.met(walk, site, feeds) if feeds or between else x
                known = at_inputs(site, x, z, widths[index], apart)
            if between is None:
                self._known[done] = known
            result[index] = known
            feeds |= known.fed(site)
        return result

    def alone(self, index: int, width: int) -> float:
        """How far the output of a layer moves when it alone is rounded, |(A^ - A) x|^2 over |A x|^2, means removed."""
        site, moment = self._sites[index], self.moments[index]
        grid = at_moments(site.matrix, moment, moment, width, 0)
        moved, whole = grid.matrix() - site.matrix, site.matrix
        return _energy(moved, moment) / max(_energy(whole, moment), 1e-300)

    def met(self, walk: Walk, site: Site, weights: Mapping[str, Array]) -> Array:
        """What a layer meets, at the same rows and positions each time, (groups, samples, entries).

        Args:
            walk: Through the network, or one whose layers have the same positions.
            site: Of the layer, there.
            weights: That the network is handed.
        """
        index, parts = site.layer.index, []
        count = _positions(self._sites[index], len(self._rows))
        for number, values in enumerate(walk.to(index, weights)):
            generator = np.random.default_rng([self._seed, index, number])
            parts.append(patches(site, values, count, generator))
        return np.concatenate(parts, axis=1)


def at_inputs(site: Site, x: Array, z: Array, width: int, block: int) -> Rounded:
    """A layer that met x rounded where it meets z, (groups, samples, entries) both.

    First W' of least E|W x - W' z|^2, held near W, then W' is rounded at the moments of z. With a bias of its own
    moments are taken around the means, and the bias makes up for what the mean moves.
    """
    if width == Half.width:
        with np.errstate(over="ignore"):
            return Rounded(Half(site.matrix.astype(np.float16)), site.offset)
    centred = site.bias is not None
    cross, own = moments(x, z, centred=centred)
    return with_mean(site, at_moments(site.matrix, cross, own, width, block), x, z)


def with_mean(site: Site, grid: Grid | Factors, x: Array, z: Array) -> Rounded:
    """With the bias, where it has one of its own, that makes up for what the mean moves."""
    offset = site.offset
    if site.bias is not None:
        middle = [np.repeat(means(each), len(site.matrix) // len(each), axis=0) for each in (x, z)]
        offset = offset + np.vecdot(site.matrix, middle[0]) - np.vecdot(grid.matrix(), middle[1])
    return Rounded(grid, offset)


def at_moments(matrix: Float64Array, cross: Float64Array, own: Float64Array, width: int, block: int) -> Grid:
    """The grid of all groups.

    Args:
        matrix: W, (h, n).
        cross: E[x z^T], (groups, n, n).
        own: E[z z^T], (groups, n, n).
        width: Bits of a level.
        block: Entries that share a scale.
    """
    groups = len(own)
    parts = np.split(matrix, groups)
    damped = [damped_by(each) for each in own]
    wanted = [held_near(part @ c, part, d, k) for part, c, (d, k) in zip(parts, cross, damped, strict=True)]
    scales: list[Scales] = np.split(full_scales(np.concatenate(wanted), width, block), groups)
    grids = [rounded(w, d, s, width, block) for w, (d, _), s in zip(wanted, damped, scales, strict=True)]
    return Grid(
        np.concatenate([grid.levels for grid in grids]), np.concatenate([grid.scales for grid in grids]), width, block
    )


def damped_by(own: Float64Array, share: float = _DAMPING) -> tuple[Float64Array, float]:
    """E[z z^T] with a share of its mean diagonal added to each entry of that, and how much that is."""
    damping = share * max(float(np.trace(own)) / len(own), 1e-12)
    return own + damping * np.eye(len(own)), damping


def held_near(target: Float64Array, near: Float64Array, damped: Float64Array, damping: float) -> Float64Array:
    """The W' of least E|W x - W' z|^2 + damping |W' - near|^2, where `target` is W E[x z^T]."""
    return np.asarray(np.linalg.solve(damped, (target + damping * near).T).T)


def moments(x: Array, z: Array, *, centred: bool) -> tuple[Float64Array, Float64Array]:
    """E[x z^T] and E[z z^T] per group, (groups, n, n), around the means or around 0."""
    same = x is z
    # Threads of BLAS get into each other's way at products with few entries to a unit.
    with blas_threads(1 if x.shape[2] < _WIDE else None):
        if centred:  # before the products: what is left of a difference of theirs may be less than nothing
            z = z - means(z)[:, None]
            x = z if same else x - means(x)[:, None]
        own = _mean_products(z, z)
        return own if same else _mean_products(x, z), own


def means(x: Array) -> Array:
    """Over the samples, (groups, n); the products with ones take a fifth of the time of `mean`."""
    return np.stack([np.full(len(each), 1 / len(each), each.dtype) @ each for each in x])


def _mean_products(x: Array, z: Array) -> Float64Array:
    """Group by group, which BLAS multiplies several times as fast as a stack."""
    sums = [np.asarray(a.T @ b, np.float64) for a, b in zip(x, z, strict=True)]
    return np.asarray(np.stack(sums) / z.shape[1])


def _positions(site: Site, rows: int) -> int:
    """Positions of each row that are looked at."""
    count: int = -(-max(_SAMPLES, _PER_ENTRY * site.matrix.shape[1]) // rows)
    return min(site.layer.positions, count)


def patches(site: Site, x: Array, count: int, generator: np.random.Generator) -> Array:
    """What the layer meets at some positions of each row, (groups, samples, entries as in its weight).

    Args:
        site: Of the layer.
        x: Its inputs, (b, *input_shape).
        count: Positions.
        generator: Chooses the positions.
    """
    operator, positions = site.layer.operator, site.layer.positions
    entries = site.matrix.shape[1]
    places = np.sort(generator.choice(positions, count, replace=False))
    if not isinstance(operator, Conv):
        return np.ascontiguousarray(x.reshape(len(x), -1, entries)[:, places].reshape(1, -1, entries))
    windows = operator.windows
    number, inside = _entries_met(windows, places)
    taps: Array = np.take(x.reshape(*x.shape[:2], -1), number, axis=2)
    taps[:, :, ~inside] = 0
    grouped = taps.reshape(len(x), operator.groups, -1, *taps.shape[2:])
    return np.asarray(np.moveaxis(grouped, (1, 3), (0, 2)).reshape(operator.groups, -1, entries))


def _entries_met(windows: Windows, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which entries of a channel the windows at some places meet, and whether it is one and no padding, (places, taps).

    So nothing is padded of which only a few windows are looked at.
    """
    number, inside = np.zeros((len(places), 1), np.int64), np.ones((len(places), 1), np.bool_)
    found = np.unravel_index(places, windows.output)
    axes = zip(found, windows.size, windows.kernel, windows.strides, windows.dilations, windows.begin, strict=True)
    for place, length, kernel, stride, dilation, begin in axes:
        at = (place * stride - begin)[:, None] + dilation * np.arange(kernel)
        within = (at >= 0) & (at < length)
        number = (number[:, :, None] * length + np.where(within, at, 0)[:, None]).reshape(len(places), -1)
        inside = (inside[:, :, None] & within[:, None]).reshape(len(places), -1)
    return number, inside


def _energy(matrix: Float64Array, moment: Float64Array) -> float:
    """E |A x|^2 of all groups."""
    parts = np.split(matrix, len(moment))
    return float(sum(np.vdot(part @ own, part) for part, own in zip(parts, moment, strict=True)))
