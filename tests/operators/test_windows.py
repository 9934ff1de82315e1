"""Lipschitz constants of pooling, where few windows share an entry."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxbound.graph.load import load
from tests.nets import write_model
from tests.operators.case import constant


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [
        ("GlobalMaxPool", {}, 1.0),
        ("MaxPool", {"kernel_shape": [7, 7]}, 1.0),
        ("MaxPool", {"kernel_shape": [7, 7], "pads": [3, 3, 3, 3]}, 7.0),
        ("MaxPool", {"kernel_shape": [7, 6]}, sqrt(2)),
        ("MaxPool", {"kernel_shape": [5, 5], "strides": [2, 2]}, 2.0),
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "dilations": [3, 3]}, 1.0),
        ("ReduceMax", {"axes": [2, 3]}, 1.0),
        ("GlobalAveragePool", {}, 1 / 7),
        ("AveragePool", {"kernel_shape": [7, 7]}, 1 / 7),
        ("AveragePool", {"kernel_shape": [6, 7]}, sqrt(2 / 42)),
    ],
)
def test_what_follows_a_layer(tmp_path: Path, op: str, attributes: dict[str, Any], expected: float) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node(op, ["c"], ["p"], **attributes),
        helper.make_node("Flatten", ["p"], ["z"]),
    ]
    weight = {"k": constant(np.random.default_rng(0), 3, 2, 1, 1)}
    network = load(write_model(tmp_path / "net.onnx", nodes, weight, ["N", 2, 7, 7], output="z", opset=13))
    assert network.tail_lipschitz[1] == pytest.approx(expected, rel=1e-12)
