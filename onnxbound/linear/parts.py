"""A batch in parts, one thread each: BLAS shares out single products, which are too small for that here."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import prod

from threadpoolctl import threadpool_limits

from onnxbound.graph.network import Network
from onnxbound.linear.programme import Measurement
from onnxbound.operators.operator import Array

_LEAST_ROWS = 16
"""Fewer rows at a time take longer per row."""

_LEAST_ENTRIES = 1 << 17
"""Activations of a part, below which Python's share of the work, which threads cannot share, is the larger one."""


def part_rows(network: Network) -> int:
    """Rows of a part. They do not depend on the number of threads, and so neither does any result."""
    entries = sum(prod(shape) for shape in network.shapes.values())
    return max(_LEAST_ROWS, _LEAST_ENTRIES // entries)


def measure_in_parts(
    run: Callable[[Array, Array], Measurement], size: int, threads: int | None, index: Array, rows: Array
) -> Measurement:
    """Measure every part, several at a time, with one BLAS thread each; a batch of one part has all of BLAS.

    Args:
        run: Measures some rows, given their places in the data file.
        size: Rows of a part.
        threads: How many at a time; None for all cores.
        index: Places of the rows in the data file, (n,).
        rows: Inputs, (n, *input_shape).
    """
    if len(index) <= size:
        return run(index, rows)
    starts = range(0, len(index), size)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        return Measurement.merge(
            list(pool.map(lambda start: run(index[start : start + size], rows[start : start + size]), starts))
        )
