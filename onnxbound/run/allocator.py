"""Set what glibc's malloc does with freed memory; other allocators are not changed.

Returning pages to the kernel and getting them back can cost as much time as the work that is done in them.
"""

import ctypes
import sys
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of mallopt's parameters, from <malloc.h>."""

_NEVER, _LARGEST = 2**31 - 1, 32 << 20
"""Bytes: more than is ever free, and the largest threshold that glibc takes."""


def keep_freed_memory() -> None:
    """Keep blocks of up to 32 MiB for the next ones of their size; for a process of our own."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_MMAP_THRESHOLD, _LARGEST)


def return_freed_memory() -> None:
    """Return what is free now; building a session takes and frees several times its weights."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
