"""|J|_F exactly, by products with every row or every column of J."""

from collections.abc import Iterator
from math import prod

import numpy as np

from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import Linearisation
from onnxbound.linear.norms import pixel_squared_norms, squared_norms
from onnxbound.operators.operator import Array, Shape
from onnxbound.results import Float64Array

_CHUNK_ENTRIES = 1 << 24
"""Entries that the largest tensor of one chunk of products may have."""


def output_jacobians(at: Linearisation, rows: int, dtype: np.dtype[np.floating]) -> tuple[Float64Array, Float64Array]:
    """|J^{i,d}|_F^2 and max over pixels of |J_{:,pixel}|_F^2 for every layer, by one cotangent per class.

    Returns:
        Two arrays (n, d), float64; NaN at i = d and where no path leads to the logits.
    """
    network = at.network
    norms = np.full((rows, network.depth), np.nan)
    pixels: dict[int, Float64Array] = {}
    layers = {layer.output: layer for layer in network.layers[:-1]}
    for c in _basis((network.classes,), rows, dtype, _chunk(network, rows)):
        for name, cotangents in at.vjp(network.output, c, frozenset(layers)).items():
            layer = layers[name]
            found = pixel_squared_norms(cotangents, layer.operator.channel_axis)
            pixels[layer.index] = pixels.get(layer.index, 0.0) + found
    largest = np.full_like(norms, np.nan)
    for index, per_pixel in pixels.items():
        norms[:, index - 1] = per_pixel.sum(axis=1)
        largest[:, index - 1] = per_pixel.max(axis=1)
    return norms, largest


def pair_jacobians(at: Linearisation, rows: int, dtype: np.dtype[np.floating]) -> Float64Array:
    """|J^{i,j}|_F^2 of every pair, by min(dim x^i, dim x^j) products.

    Each pair is covered by a sweep from its smaller side: all columns from x^i forward, or all rows from x^j back. One
    sweep serves every pair it meets.

    Returns:
        (n, d, d), float64, NaN where there is no pair.
    """
    network = at.network
    result = np.full((rows, network.depth, network.depth), np.nan)
    sources, targets = plan_exact_pairs(network)
    names = {layer.index: layer.output for layer in network.layers}
    for target in sorted(targets):
        wanted = {names[i]: i for i in range(1, target) if network.has_path(i, target)}
        total = _accumulate_back(at, network.target(target), wanted, rows, dtype)
        for source, squared in total.items():
            result[:, source - 1, target - 1] = squared
    for source in sorted(sources):
        wanted = {network.target(j): j for j in range(source + 1, network.depth + 1) if network.has_path(source, j)}
        for t in _basis(network.shapes[names[source]], rows, dtype, _chunk(network, rows)):
            for name, tangents in at.jvp(names[source], t, wanted.keys()).items():
                if wanted[name] not in targets:
                    column = result[:, source - 1, wanted[name] - 1]
                    np.copyto(column, 0, where=np.isnan(column))
                    column += squared_norms(tangents, 2).sum(axis=0)
    return result


def _accumulate_back(
    at: Linearisation, target: str, wanted: dict[str, int], rows: int, dtype: np.dtype[np.floating]
) -> dict[int, Float64Array]:
    total: dict[int, Float64Array] = {}
    for c in _basis(at.network.shapes[target], rows, dtype, _chunk(at.network, rows)):
        for name, cotangents in at.vjp(target, c, wanted.keys()).items():
            squared = squared_norms(cotangents, 2).sum(axis=0)
            total[wanted[name]] = total.get(wanted[name], 0.0) + squared
    return total


def plan_exact_pairs(network: Network) -> tuple[set[int], set[int]]:
    """Layers to sweep forward from and layers to sweep back from, so that every pair is met from its smaller side."""
    sources: set[int] = set()
    targets: set[int] = set()
    for source in range(1, network.depth):
        for target in range(source + 1, network.depth + 1):
            if not network.has_path(source, target):
                continue
            size_in = prod(network.layers[source - 1].output_shape)
            size_out = prod(network.shapes[network.target(target)])
            (targets if size_out <= size_in else sources).add(target if size_out <= size_in else source)
    return sources, targets


def exact_products(network: Network) -> int:
    """Jacobian products per row that the exact norms of all pairs cost."""
    sources, targets = plan_exact_pairs(network)
    forward = sum(prod(network.layers[source - 1].output_shape) for source in sources)
    return forward + sum(prod(network.shapes[network.target(target)]) for target in targets)


def _chunk(network: Network, rows: int) -> int:
    """Streams per sweep, so that the largest tensor stays within its budget."""
    return max(1, _CHUNK_ENTRIES // (rows * max(prod(shape) for shape in network.shapes.values())))


def _basis(shape: Shape, rows: int, dtype: np.dtype[np.floating], chunk: int) -> Iterator[Array]:
    """The unit vectors of a tensor, the same for every row, as `(s, n, *shape)` with at most `chunk` streams each."""
    size = prod(shape)
    for start in range(0, size, chunk):
        count = min(chunk, size - start)
        units = np.zeros((count, rows, size), dtype)
        units[np.arange(count), :, start + np.arange(count)] = 1
        yield units.reshape(count, rows, *shape)
