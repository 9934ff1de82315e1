"""How many binary places the mean and std of a preprocessing are worth."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.winner import decided
from onnxbound.codec.preprocessing_code import on_lattice
from onnxbound.data.preprocessing import Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.run.device import Device
from onnxbound.run.logits import Logits

_PLACES = (4, 5, 6, 7, 8, 10, 12, 16)
_ROWS = 10_000
_BATCH = 500
_ERROR_BITS = 3
"""Bits that an error costs, about, at the bounds of real nets."""


def cheapest(
    network: Network, rows: Rows, original: NDArray[np.int64], device: Device, threads: int | None
) -> Preprocessing:
    """The preprocessing of the rows on the lattice that costs least, in bits and in errors that come with it.

    Args:
        network: The trained network.
        rows: Opened for it.
        original: What it decides on them.
        device: Where it is evaluated.
        threads: None for all cores.
    """
    asked = rows.preprocessing
    if asked.scale is None and network.input_type.kind != "f":
        asked = replace(asked, scale=1.0)
    numbers = len(asked.mean) * (asked.mean != (0.0,)) + len(asked.std) * (asked.std != (1.0,))
    if not numbers:
        return on_lattice(asked, 0)
    index = rows.index[:: -(-rows.count // _ROWS)]
    labels = rows.labels[:: -(-rows.count // _ROWS)]
    before = int(np.sum(original[:: -(-rows.count // _ROWS)] != labels))
    run = Logits(network, device, threads)
    array, best, least = rows.array, on_lattice(asked, _PLACES[-1]), np.inf
    for places in _PLACES:
        rounded = on_lattice(asked, places)
        convert = converter(array.shape[1:], array.dtype, array.name, network.input_shape, network.input_type, rounded)
        wrong = 0
        for start in range(0, len(index), _BATCH):
            part = slice(start, start + _BATCH)
            wrong += int(np.sum(decided(run.run(convert(array.take(index[part])))) != labels[part]))
        for_errors = _ERROR_BITS * (wrong - before) * rows.count / len(index)
        if numbers * places + for_errors < least:
            best, least = rounded, numbers * places + for_errors
        if for_errors < numbers:
            break  # the next place would cost more than these errors
    return best
