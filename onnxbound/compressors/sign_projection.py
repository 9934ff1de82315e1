"""Products with the helper string's matrices of signs, which are made in passing and never stored.

With M the table of signs of `onnxbound.rng.sign_words`, one row per projection l and one column per entry e,

    z = M a,    y = M^T z.

Eight signs are one byte, and a byte is the place of their sum in a table: of eight entries +-a_e, or of eight
coefficients +-z_l (the method of four Russians). All numbers are integers whose sums float64 holds, so every order of
adding gives the same bits: any number of threads, any block size, any machine.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from onnxbound.linear.threads import cores
from onnxbound.results import Float64Array
from onnxbound.rng import SIGN_GROUPS, sign_words

_STRIP = 8 * SIGN_GROUPS
_LARGEST_SUM = 2.0**53
_BLOCK = 512
"""Groups of eight projections at a time: 2 MiB of signs, which stay in the cache."""

_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little") * 2.0 - 1.0
"""Byte to its eight signs, (256, 8)."""


def project(
    entries: Float64Array, count: int, *, seed: int, layer: int, threads: int | None = None, block: int = _BLOCK
) -> Float64Array:
    """z_l = <a, M_l> for l < count.

    Args:
        entries: a, integers of which the magnitudes add up to at most 2^53, (n,).
        count: k.
        seed: Of the helper string.
        layer: Number of the layer there.
        threads: Threads; None for all cores.
        block: Groups of eight projections at a time.

    Returns:
        Exact, (k,).
    """
    _require_exact(entries)
    groups = -(-count // 8)

    def of_strip(strip: int) -> Float64Array:
        own = _padded(entries[strip * _STRIP : (strip + 1) * _STRIP])
        sums = _sums_of_eight(own)
        result = np.zeros(8 * groups)
        part = np.empty(8 * min(block, groups))
        for first in range(0, groups, block):
            words = sign_words(seed, layer, strip, first, min(block, groups - first))
            signs = np.ascontiguousarray(words[:, : len(own)].T).view(np.uint8)
            mine, found = result[8 * first : 8 * first + signs.shape[1]], part[: signs.shape[1]]
            for table, places in zip(sums, signs, strict=True):
                np.take(table, places, out=found, mode="clip")
                mine += found
        return result

    total = np.zeros(8 * groups)
    for part in _in_threads(of_strip, -(-len(entries) // _STRIP), threads):
        total += part
    return total[:count]


def combine(
    coefficients: Float64Array, size: int, *, seed: int, layer: int, threads: int | None = None, block: int = _BLOCK
) -> Float64Array:
    """y = sum_l z_l M_l, n entries of it.

    Args:
        coefficients: z, integers of which the magnitudes add up to at most 2^53, (k,).
        size: n.
        seed: Of the helper string.
        layer: Number of the layer there.
        threads: Threads; None for all cores.
        block: Groups of eight coefficients at a time.

    Returns:
        Exact, (n,).
    """
    _require_exact(coefficients)
    sums = _sums_of_eight(_padded(coefficients))

    def of_strip(strip: int) -> Float64Array:
        width = min(_STRIP, size - strip * _STRIP)
        result, part = np.zeros(8 * -(-width // 8)), np.empty(8 * -(-width // 8))
        for first in range(0, len(sums), block):
            words = sign_words(seed, layer, strip, first, min(block, len(sums) - first))
            signs = _transposed(words[:, : len(result) // 8]).view(np.uint8)
            for table, places in zip(sums[first : first + block], signs, strict=True):
                np.take(table, places, out=part, mode="clip")
                result += part
        return result[:width]

    return np.concatenate(list(_in_threads(of_strip, -(-size // _STRIP), threads)))


def signs(count: int, size: int, *, seed: int, layer: int) -> Float64Array:
    """The table itself, (count, size), for small ones.

    >>> signs(2, 4, seed=0, layer=1)
    array([[ 1.,  1., -1.,  1.],
           [-1.,  1., -1., -1.]])
    """
    strips = []
    for strip in range(-(-size // _STRIP)):
        places = sign_words(seed, layer, strip, 0, -(-count // 8)).view(np.uint8).reshape(-1, SIGN_GROUPS, 8)
        strips.append(_BYTES[places.swapaxes(1, 2)].reshape(-1, _STRIP))
    return np.ascontiguousarray(np.concatenate(strips, axis=1)[:count, :size])


def _in_threads(work: Callable[[int], Float64Array], count: int, threads: int | None) -> Iterator[Float64Array]:
    """Results in order; a few strips are under way at a time, so that memory does not grow with their number."""
    workers = min(threads or cores(), count)
    if workers == 1:
        yield from map(work, range(count))
        return
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, count, 8 * workers):
            yield from pool.map(work, range(first, min(first + 8 * workers, count)))


def _padded(values: Float64Array) -> Float64Array:
    """In rows of eight, zeros behind the end."""
    result = np.zeros(8 * -(-len(values) // 8))
    result[: len(values)] = values
    return result.reshape(-1, 8)


def _sums_of_eight(values: Float64Array) -> Float64Array:
    """For each row of eight, its 256 sums with signs, those of byte b at b, (rows, 256)."""
    result = np.zeros((len(values), 1))
    for bit in values.T[:, :, None]:
        result = np.concatenate([result - bit, result + bit], axis=1)
    return result


def _transposed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each word as a matrix of eight by eight bits, transposed (Warren, Hacker's Delight, 7-3)."""
    x = np.array(words)
    for shift, mask in ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0)):
        swapped = (x ^ (x >> np.uint64(shift))) & np.uint64(mask)
        x ^= swapped ^ (swapped << np.uint64(shift))
    return x


def _require_exact(values: Float64Array) -> None:
    total = float(np.abs(values).sum())
    if not total <= _LARGEST_SUM or not np.array_equal(values, np.rint(values)):
        raise ValueError(f"not integers whose sums are exact: their magnitudes add up to {total:g}")
