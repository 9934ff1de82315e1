"""A small net whose norms can be written down, and the same net times t."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.nets import mlp, write_model

W1 = np.array([[3.0, -4.0], [0.0, 2.0], [1.0, 1.0]])
W2 = np.array([[1.0, -2.0, 2.0], [0.0, 0.5, -1.0]])
B2 = np.array([0.5, -0.25])


def two_layers(folder: Path, t: float = 1.0) -> Network:
    """f = t (W2 relu(W1 x) + b2)."""
    return load(mlp(folder / f"two{t}.onnx", [(W1, None), (W2 * t, B2 * t)]))


def conv_net(folder: Path, t: float = 1.0) -> Network:
    """Strided convolution, Relu, dense layer with bias, the last layer times t."""
    random = np.random.default_rng(5)
    constants: dict[str, NDArray[Any]] = {
        "k": random.normal(size=(4, 2, 3, 3)), "c": random.normal(size=4),
        "w": random.normal(size=(16, 3)) * t, "b": random.normal(size=3) * t,
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "k", "c"], ["x1"], strides=[2, 2], pads=[1, 1, 0, 0]),
        helper.make_node("Relu", ["x1"], ["a"]),
        helper.make_node("Flatten", ["a"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["logits"]),
    ]
    floats = {name: value.astype(np.float32) for name, value in constants.items()}
    return load(write_model(folder / f"conv{t}.onnx", nodes, floats, ["N", 2, 4, 4]))
