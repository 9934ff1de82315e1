"""The two types that every operator's signature uses."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, ...]
"""Shape of one row of a tensor: the batch axis is never part of it."""
