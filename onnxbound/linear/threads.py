"""A batch in parts, one thread each: BLAS shares out single products, which are too small for that here."""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import prod
from threading import get_ident
from typing import TypeVar

from threadpoolctl import threadpool_limits

from onnxbound.graph.network import Network

Result = TypeVar("Result")

_LEAST_ROWS = 16
"""Fewer rows at a time take longer per row."""

_LEAST_ENTRIES = 1 << 17
"""Activations of a part, below which Python's share of the work, which threads cannot share, is the larger one."""


def part_rows(network: Network) -> int:
    """Rows of a part. They do not depend on the number of threads, and so neither does any result."""
    entries = sum(prod(shape) for shape in network.shapes.values())
    return max(_LEAST_ROWS, _LEAST_ENTRIES // entries)


def in_parts(run: Callable[[slice], Result], rows: int, size: int, threads: int | None) -> list[Result]:
    """Run every part of a batch, several at a time, with one BLAS thread each; a batch of one part has all of BLAS.

    Args:
        run: What is done with the rows of a slice.
        rows: Rows of the batch.
        size: Rows of a part.
        threads: How many parts at a time; None for all cores.

    Returns:
        Of each part, in the order of the rows.
    """
    if rows <= size:
        return [run(slice(0, rows))]
    running: set[int] = set()

    def part(start: int) -> Result:
        running.add(get_ident())
        try:
            return run(slice(start, min(start + size, rows)))
        finally:
            running.discard(get_ident())

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        try:
            return list(pool.map(part, range(0, rows, size)))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            _interrupt(running.copy())
            raise


def _interrupt(threads: set[int]) -> None:
    """Raise KeyboardInterrupt in other threads, which else would finish their parts first."""
    for thread in threads:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
