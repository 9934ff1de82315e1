"""Run a batch in parts, one thread each: single products are too small here for several threads of BLAS."""

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from math import ceil, prod
from threading import get_ident
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from onnxbound.graph.network import Network

Part = TypeVar("Part")
Result = TypeVar("Result")

LEAST_ROWS = 16
"""Fewer rows at a time take longer per row."""

_LEAST_IN_HALVES = 8
"""Rows of a batch from which on two parts, one core each, take less time than one."""

_LEAST_ENTRIES = 1 << 17
"""Activations of a part, below which Python's share of the work, which threads cannot share, is the larger one."""


def part_rows(network: Network) -> int:
    """Rows of a part. They do not depend on the number of threads, and so neither does any result."""
    entries = sum(prod(shape) for shape in network.shapes.values())
    return max(LEAST_ROWS, _LEAST_ENTRIES // entries)


def even_rows(rows: int, most: int) -> int:
    """Rows of a part if a batch is cut into an even number of parts alike, none with more than `most`.

    Even, since most machines have an even number of cores; and whatever their number is, so that it changes no result.

    >>> even_rows(17, 16), even_rows(40, 16), even_rows(64, 16), even_rows(3, 16)
    (9, 10, 16, 3)
    """
    pairs = ceil(rows / (2 * most)) if rows >= _LEAST_IN_HALVES else 0
    return ceil(rows / (2 * pairs)) if pairs else max(1, rows)


def in_parts(run: Callable[[slice], Result], rows: int, size: int, threads: int | None) -> list[Result]:
    """Run every part of a batch side by side.

    Args:
        run: Function of a slice of rows.
        rows: Rows of the batch.
        size: Rows of a part.
        threads: How many parts at a time; None for all cores.

    Returns:
        The result of each part, in the order of the rows.
    """
    return side_by_side(run, parts(rows, size), threads)


def parts(rows: int, size: int) -> list[slice]:
    """Rows cut into parts of a size; the last may be smaller."""
    return [slice(start, min(start + size, rows)) for start in range(0, max(rows, 1), size)]


def side_by_side(
    run: Callable[[Part], Result],
    wanted: Sequence[Part],
    threads: int | None,
    done: Callable[[int], object] = lambda _: None,
) -> list[Result]:
    """Run several parts at a time, with one BLAS thread each; a single one has all of BLAS.

    Args:
        run: Function of a part.
        wanted: The parts.
        threads: How many at a time; None for all cores.
        done: Called, by the caller's thread, with the number of parts whose results are there.

    Returns:
        The result of each part, in their order.
    """
    results: list[Result] = []

    def keep(result: Result) -> None:
        results.append(result)
        done(len(results))

    if len(wanted) <= 1:
        for part in wanted:
            keep(run(part))
        return results
    running: set[int] = set()

    def one(part: Part) -> Result:
        running.add(get_ident())
        try:
            return run(part)
        finally:
            running.discard(get_ident())

    with blas_threads(1), ThreadPoolExecutor(min(threads or cores(), len(wanted))) as pool:
        try:
            for result in pool.map(one, wanted):
                keep(result)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            _interrupt(running.copy())
            raise
    return results


def blas_threads(count: int | None) -> AbstractContextManager[object]:
    """Within this context each product of BLAS has so many threads; as many as before for None."""
    limited: AbstractContextManager[object] = _libraries(len(sys.modules)).limit(limits=count, user_api="blas")
    return limited


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """Those that are loaded, looked for again once there are more modules: that takes 2 ms."""
    return ThreadpoolController()


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _interrupt(threads: set[int]) -> None:
    """Raise KeyboardInterrupt in other threads, which else would finish their parts first."""
    for thread in threads:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
