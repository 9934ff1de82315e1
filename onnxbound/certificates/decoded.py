"""From a skeleton and a code to a network that can be run, with nothing trusted on the way."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.network_code import NetworkCode
from onnxbound.codec.skeleton import Malformed, Skeleton
from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network

_LARGEST_ROW = 1 << 26
"""Numbers that one row may become on its way through a network."""


def decoded_bytes(
    skeleton: Skeleton, code: NetworkCode, prior: Mapping[str, NDArray[np.float32]] | None = None
) -> bytes:
    """The decoded network as an ONNX file."""
    return bytes(skeleton.filled(code.tensors(skeleton, prior)).SerializeToString(deterministic=True))


def decoded_network(model: bytes) -> Network:
    """The network of such a file, loaded like any stranger's.

    Raises:
        Malformed: It is none that can be evaluated, or a row of it would take absurdly much memory.
    """
    with tempfile.TemporaryDirectory(prefix="onnxbound-") as folder:
        path = Path(folder) / "decoded.onnx"
        path.write_bytes(model)
        try:
            network = load(path)
            network.require_finite_weights()
        except ModelError as error:
            why = error.problems[0].why if error.problems else error.message
            raise Malformed(f"the decoded network cannot be read: {why}") from error
    if sum(prod(shape) for shape in network.shapes.values()) > _LARGEST_ROW:
        raise Malformed(f"a row of the decoded network would take more than {_LARGEST_ROW:,} numbers")
    return replace(network, path=Path("decoded.onnx"))
