"""Integers of 4 and of 8 bits as ONNX stores them."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

ELEMENT_TYPES = {4: TensorProto.INT4, 8: TensorProto.INT8}
"""Bits of an integer to its element type."""


def largest_level(width: int) -> int:
    """The largest integer of that many bits whose negative fits too."""
    return int(2 ** (width - 1) - 1)


def integer_tensor(name: str, levels: NDArray[np.int64], width: int) -> TensorProto:
    """A tensor of integers as raw bytes; two of 4 bits share one, the first in the lower half (opset 21).

    Args:
        name: Of the tensor.
        levels: Of magnitude at most `largest_level(width)`.
        width: Bits of a level, 4 or 8.

    >>> integer_tensor("q", np.array([1, -1, 7]), 4).raw_data.hex()
    'f107'
    """
    values: NDArray[np.uint8] = levels.ravel().astype(np.int8).view(np.uint8)
    if width == 4:
        pairs = np.append(values, np.zeros(values.size % 2, np.uint8)).reshape(-1, 2) & 15
        values = (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8)
    return helper.make_tensor(name, ELEMENT_TYPES[width], levels.shape, values.tobytes(), raw=True)
