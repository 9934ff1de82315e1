"""Random numbers that are the same on every machine: raw Philox words and our own transform of them."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

GENERATOR = "philox4x64-10/normal16-v1"
"""Name and version of the generator; a report that carries it and a seed fixes every random number."""


@cache
def normal_quantiles() -> NDArray[np.float32]:
    """The 65,536 midpoint quantiles of N(0, 1), scaled to variance exactly one, shape (65536,)."""
    from scipy.special import ndtri

    quantiles = ndtri((np.arange(2**16) + 0.5) / 2**16)
    quantiles /= np.sqrt(np.mean(quantiles**2))
    return quantiles.astype(np.float32)


def normal_noise(seed: int, layer: int, rows: NDArray[np.int64], probe: int, size: int) -> NDArray[np.float32]:
    """Independent standard normal vectors, one per row of the training set.

    The numbers depend on (seed, layer, row, probe) and on nothing else: neither on the batch a row is in, nor on the
    number of threads, nor on the platform. Philox4x64 with key (seed, 0) and counter (block, layer, row, probe)
    gives 64-bit words; each 16 bits u of a word, lowest first, become the normal quantile of (u + 1/2) / 2^16, scaled
    so that the variance is exactly one. E[g g^T] = I therefore holds exactly, which is all that Hutchinson's estimator
    needs; the fourth moment is 2.999.

    Args:
        seed: The run's seed, 0 <= seed < 2^64.
        layer: 1-based index of the layer at whose output the noise enters.
        rows: 0-based indices of the rows in the data file, shape (n,).
        probe: 0-based number of the probe.
        size: Entries per row.

    Returns:
        Noise of shape (n, size), float32, in C order of the tensor's logical (ONNX) shape.

    >>> normal_noise(seed=0, layer=1, rows=np.array([7, 3]), probe=0, size=5).shape
    (2, 5)
    """
    return normal_quantiles()[noise_words(seed, layer, rows, probe, size)]


def key_of(seed: int) -> NDArray[np.uint64]:
    """The key of Philox for a seed below 2^64; in a list of both, NumPy makes floats of seeds from 2^63 on."""
    return np.array([seed, 0], np.uint64)


def noise_words(seed: int, layer: int, rows: NDArray[np.int64], probe: int, size: int) -> NDArray[np.uint16]:
    """What `normal_noise` is looked up by: of every entry, the number of its quantile, shape (n, size)."""
    words = np.empty((len(rows), (size + 3) // 4), np.dtype("<u8"))
    # One generator, set back for each row: to make one takes several times as long, and asks the system for entropy.
    generator = np.random.Philox(counter=[0, layer, 0, probe], key=key_of(seed))
    start: Any = generator.state
    for word, row in zip(words, rows, strict=True):
        start["state"]["counter"][2] = row
        generator.state = start
        word[:] = generator.random_raw(words.shape[1])
    return words.view(np.dtype("<u2"))[:, :size]


def select_rows(seed: int, total: int, count: int, stream: int = 0) -> NDArray[np.int64]:
    """A uniform sample of `count` of `total` row indices without replacement, ascending.

    The sample is the `count` smallest of `total` raw Philox words (ties by index), so it does not depend on the
    version of NumPy's samplers. Draws of different `stream` are independent.

    >>> select_rows(seed=0, total=3, count=5)
    array([0, 1, 2])
    """
    if count >= total:
        return np.arange(total, dtype=np.int64)
    words = np.random.Philox(counter=[0, 0, stream, 2**63], key=key_of(seed)).random_raw(total)
    return np.sort(np.argsort(words, kind="stable")[:count]).astype(np.int64)


SIGNS = "philox4x64-10/signs-v1"
"""Name and version of the helper string's signs."""

SIGN_GROUPS = 512
"""Groups of eight entries in a strip; one stream of words per strip."""

_SIGN_STREAM = 1 << 62


def sign_words(seed: int, layer: int, strip: int, first: int, count: int) -> NDArray[np.uint64]:
    """Signs of the helper string, 64 to a word.

    Signs stand in a table, one row per projection l, one column per entry e of the layer's matrix in C order. A word
    holds those of eight projections and eight entries: bit 8 (l mod 8) + (e mod 8) of the word at
    [l div 8, e div 8], set for +1. The columns are cut into strips of 4,096; words of a strip come row by row from
    Philox4x64 with key (seed, 0) and counter (block, layer, strip, 2^62). So any part of the table is found without
    the rest of it.

    Args:
        seed: 0 <= seed < 2^64.
        layer: 1-based index of the layer.
        strip: Columns 4096 strip to 4096 strip + 4095.
        first: Rows from 8 first on.
        count: Rows, in groups of eight.

    Returns:
        (count, 512), little-endian.
    """
    block = first * SIGN_GROUPS // 4
    words = np.random.Philox(counter=[block, layer, strip, _SIGN_STREAM], key=key_of(seed)).random_raw(
        count * SIGN_GROUPS
    )
    return np.asarray(words, np.dtype("<u8")).reshape(count, SIGN_GROUPS)
