"""A batch in parts, one thread each: BLAS shares out single products, which are too small for that here."""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import prod
from threading import get_ident

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
    running: set[int] = set()

    def part(start: int) -> Measurement:
        running.add(get_ident())
        try:
            return run(index[start : start + size], rows[start : start + size])
        finally:
            running.discard(get_ident())

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        try:
            return Measurement.merge(list(pool.map(part, range(0, len(index), size))))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            _interrupt(running.copy())
            raise


def _interrupt(threads: set[int]) -> None:
    """Raise KeyboardInterrupt in other threads, which else would finish their parts first."""
    for thread in threads:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
