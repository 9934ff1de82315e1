"""|J|_F exactly, by products with every row or every column of J."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import Linearisation
from onnxbound.linear.programme import Programme
from onnxbound.linear.receptive_field import column_spacing, receptive_fields, row_spacing
from onnxbound.linear.row_norms import pixel_squared_norms, squared_norms
from onnxbound.operators.calculus import Tensor
from onnxbound.operators.operator import Array, Shape

CHUNK_ENTRIES = 1 << 21
"""Entries that the largest tensor of one chunk of products may have."""


@dataclass(frozen=True, slots=True)
class ExactPlan:
    """Sweeps that together compute every pair, each with the spacing at which unit vectors share a product.

    Attributes:
        targets: Layer j to the spacing of the rows of J that are sent back from x^j, to every earlier layer.
        sources: Layer i to the spacing of the columns that are sent forward from x^i, to the targets not in `targets`.
        pairs: (i, j) of every pair that they compute.
    """

    targets: Mapping[int, Shape]
    sources: Mapping[int, Shape]
    pairs: frozenset[tuple[int, int]]

    @property
    def products(self) -> int:
        """Jacobian products per row of the training set."""
        return sum(map(prod, (*self.targets.values(), *self.sources.values())))

    def sources_of(self, target: int) -> list[int]:
        """Layers i of the pairs that are computed by rows sent back from layer j."""
        return sorted(i for i, j in self.pairs if j == target)

    def targets_of(self, source: int) -> list[int]:
        """Layers j of the pairs that are computed by columns sent forward from layer i."""
        return sorted(j for i, j in self.pairs if i == source and j not in self.targets)


@dataclass(frozen=True, slots=True)
class ExactJacobians:
    """Exact norms of Jacobians at n rows.

    Attributes:
        squared: (i, j) to |J^{i,j}|_F^2, (n,), of every pair with a path.
        largest_pixel: Layer i to max over pixels of |J^{i,d}_{:,pixel}|_F^2, (n,); empty if nobody asked for it.
    """

    squared: Mapping[tuple[int, int], Tensor]
    largest_pixel: Mapping[int, Tensor]


Units = Callable[[Shape, Shape], Iterable[Tensor]]
"""(shape, spacing) to all combs of that spacing at every row, in parts `(s, n, *shape)`."""


def exact_jacobians(at: Linearisation, plan: ExactPlan, units: Units, *, output: bool) -> ExactJacobians:
    """|J^{i,j}|_F^2 of the pairs of a plan, each from the side that takes fewer products: columns forward or rows back.

    One sweep serves several pairs, and unit vectors whose images cannot overlap share a product.

    Args:
        at: At arrays, or at symbols.
        plan: Which pairs.
        units: What is sent.
        output: Whether the pairs with the logits come in addition, by one cotangent per class.
    """
    network, logits = at.network, (at.network.classes,)
    layers = {layer.output: layer for layer in network.layers[:-1]}
    squared: dict[tuple[int, int], Tensor] = {}
    pixels: dict[int, Tensor] = {}
    for source, target, products in _products(at, plan, units):
        found, pair = squared_norms(products, 2).sum(axis=0), (source, target)
        squared[pair] = squared[pair] + found if pair in squared else found
    for c in units(logits, logits) if output else ():
        for name, cotangents in at.vjp(network.output, c, layers.keys()).items():
            i, found = layers[name].index, pixel_squared_norms(cotangents, layers[name].operator.channel_axis)
            pixels[i] = pixels[i] + found if i in pixels else found
    squared |= {(i, network.depth): found.sum(axis=1) for i, found in pixels.items()}
    return ExactJacobians(squared, {i: found.max(axis=1) for i, found in pixels.items()})


def _products(at: Linearisation, plan: ExactPlan, units: Units) -> Iterator[tuple[int, int, Tensor]]:
    """Source, target, and rows or columns of their Jacobian at every row, `(s, n, *shape)`."""
    network = at.network
    for target, spacing in plan.targets.items():
        name = network.target(target)
        wanted = {network.layers[i - 1].output: i for i in plan.sources_of(target)}
        for c in units(network.shapes[name], spacing):
            for tensor, cotangents in at.vjp(name, c, wanted.keys()).items():
                yield wanted[tensor], target, cotangents
    for source, spacing in plan.sources.items():
        layer = network.layers[source - 1]
        wanted = {network.target(j): j for j in plan.targets_of(source)}
        for t in units(layer.output_shape, spacing):
            for tensor, tangents in at.jvp(layer.output, t, wanted.keys()).items():
                yield source, wanted[tensor], tangents


def exact_pairs(network: Network, programme: Programme) -> frozenset[tuple[int, int]]:
    """The pairs (i, j) with a path whose |J|_F a programme computes exactly."""

    def exact(i: int, j: int) -> bool:
        smaller = min(prod(network.shapes[name]) for name in (network.layers[i - 1].output, network.target(j)))
        to_output = programme.exact_output and j == network.depth
        return programme.exact_pairs or to_output or smaller <= programme.small_side

    targets = [network.depth] if programme.output_only else range(2, network.depth + 1)
    return frozenset((i, j) for j in targets for i in range(1, j) if network.has_path(i, j) and exact(i, j))


def plan_exact_pairs(network: Network, programme: Programme) -> ExactPlan:
    """The sweeps that compute every exact pair from the side that takes fewer products.

    Pairs with the logits are left out where one cotangent per class gives them.
    """
    wanted = exact_pairs(network, programme)
    if programme.exact_output:
        wanted = frozenset(pair for pair in wanted if pair[1] != network.depth)
    pairs: list[tuple[int, int, Shape, Shape]] = []
    for source in sorted({i for i, _ in wanted}):
        layer = network.layers[source - 1]
        fields = receptive_fields(network, layer.output)
        for target in sorted(j for i, j in wanted if i == source):
            name = network.target(target)
            columns = column_spacing(layer.output_shape, fields[name])
            pairs.append((source, target, columns, row_spacing(network.shapes[name], fields[name])))
    back = {target for _, target, columns, rows in pairs if prod(rows) <= prod(columns)}
    targets: dict[int, Shape] = {}
    sources: dict[int, Shape] = {}
    for source, target, columns, rows in pairs:
        if target in back:
            targets[target] = tuple(map(max, rows, targets.get(target, rows)))
        else:
            sources[source] = tuple(map(max, columns, sources.get(source, columns)))
    return ExactPlan(targets, sources, wanted)


def combs(shape: Shape, spacing: Shape, start: int, stop: int) -> Array:
    """Sums of unit vectors that are `spacing` apart on each axis, for offsets `start` to `stop`, one sum per offset.

    The sums of all offsets contain every unit vector once; with `spacing` equal to `shape` they are the unit vectors.
    """
    result = np.zeros((stop - start, *shape), np.float32)
    offsets = np.unravel_index(np.arange(start, stop), spacing)
    for comb, *offset in zip(result, *offsets, strict=True):
        comb[tuple(slice(o, None, s) for o, s in zip(offset, spacing, strict=True))] = 1
    return result


def units_in_parts(network: Network, rows: int, dtype: np.dtype[np.floating]) -> Units:
    """Combs in parts of so many streams that the largest tensor stays within its budget."""
    chunk = max(1, CHUNK_ENTRIES // (rows * max(prod(shape) for shape in network.shapes.values())))

    def units(shape: Shape, spacing: Shape) -> Iterator[Array]:
        for start in range(0, prod(spacing), chunk):
            part = combs(shape, spacing, start, min(start + chunk, prod(spacing)))
            yield np.repeat(part[:, None], rows, axis=1).astype(dtype, copy=False)

    return units
