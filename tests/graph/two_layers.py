"""A net of two layers whose weights the tests put elsewhere."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from tests.nets import model_of

W1 = np.arange(12, dtype=np.float32).reshape(3, 4) / 10 - 0.5
B1 = np.float32([0.1, -0.2, 0.3])
W2 = np.float32([[1, -2, 0.5], [-1, 0.25, 2]])
ROW = np.float32([[1.0, -2.0, 0.5, 3.0]])

NODES = [
    helper.make_node("Gemm", ["x", "w1", "b1"], ["x1"], transB=1, name="first"),
    helper.make_node("Relu", ["x1"], ["a"]),
    helper.make_node("Gemm", ["a", "w2"], ["logits"], transB=1, name="second"),
]


def two_layers() -> ModelProto:
    """logits = W2 relu(W1 x + b1), all weights initializers."""
    return model_of(NODES, {"w1": W1, "b1": B1, "w2": W2}, ["N", 4])


def save(model: ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def logits(network: Network) -> NDArray[np.float32]:
    values = linearise(network.cast(np.float32), ROW, {network.output}).values
    result: NDArray[np.float32] = values[network.output]
    return result


EXPECTED = np.maximum(ROW @ W1.T + B1, 0) @ W2.T
