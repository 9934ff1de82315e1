from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.nets import write_model

MakeNetwork = Callable[..., Network]


@pytest.fixture
def network(tmp_path: Path) -> MakeNetwork:
    """A classifier with 4 classes for rows of a given shape."""

    def make(*shape: int, input_type: int = TensorProto.FLOAT) -> Network:
        size = int(np.prod(shape))
        nodes = [
            helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["float"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w"], ["logits"], transB=1),
        ]
        weight = np.ones((4, size), np.float32)
        return load(write_model(tmp_path / "net.onnx", nodes, {"w": weight}, ["N", *shape], input_type=input_type))

    return make
