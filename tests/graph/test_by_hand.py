"""One net, as PyTorch exports it and as it may be written by hand, in operator sets from 7 on: the same numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, helper

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.graph.test_zoo import ZOO, numbers_of, require_equal
from tests.graph.test_zoo import data as data
from tests.nets import write_model

Constants = dict[str, NDArray[Any]]
Layer = Callable[[str, str, Constants, NDArray[Any], NDArray[Any]], list[NodeProto]]
EXPORTED = "torch_mlp_ts17"


def gemm(x: str, y: str, constants: Constants, weight: NDArray[Any], bias: NDArray[Any]) -> list[NodeProto]:
    """Halves of a weight that is not transposed, and of a bias with an axis too many."""
    constants |= {f"{y}w": weight.T / 2, f"{y}b": 4 * bias[None]}
    return [helper.make_node("Gemm", [x, f"{y}w", f"{y}b"], [y], alpha=2.0, beta=0.25)]


def matmul(x: str, y: str, constants: Constants, weight: NDArray[Any], bias: NDArray[Any]) -> list[NodeProto]:
    """The weight turned in the graph, the bias first in an Add."""
    constants |= {f"{y}w": weight, f"{y}b": bias}
    return [
        helper.make_node("Transpose", [f"{y}w"], [f"{y}t"], perm=[1, 0]),
        helper.make_node("MatMul", [x, f"{y}t"], [f"{y}m"]),
        helper.make_node("Add", [f"{y}b", f"{y}m"], [y]),
    ]


def conv(x: str, y: str, constants: Constants, weight: NDArray[Any], bias: NDArray[Any]) -> list[NodeProto]:
    """A convolution of one pixel, and BatchNormalization for the bias."""
    ones = np.ones_like(bias)
    constants |= {f"{y}w": weight[:, :, None, None], f"{y}one": ones, f"{y}b": bias, f"{y}zero": 0 * ones}
    constants |= {f"{y}in": np.array([-1, weight.shape[1], 1, 1]), f"{y}out": np.array([-1, len(weight)])}
    return [
        helper.make_node("Reshape", [x, f"{y}in"], [f"{y}x"]),
        helper.make_node("Conv", [f"{y}x", f"{y}w"], [f"{y}c"]),
        helper.make_node(
            "BatchNormalization", [f"{y}c", f"{y}one", f"{y}b", f"{y}zero", f"{y}one"], [f"{y}n"], epsilon=0.0
        ),
        helper.make_node("Reshape", [f"{y}n", f"{y}out"], [y]),
    ]


def difference(x: str, y: str, constants: Constants, weight: NDArray[Any], bias: NDArray[Any]) -> list[NodeProto]:
    """A product that is divided, less the bias turned round."""
    constants |= {f"{y}w": 3 * weight.T, f"{y}three": np.array(3.0), f"{y}b": -bias}
    return [
        helper.make_node("MatMul", [x, f"{y}w"], [f"{y}m"]),
        helper.make_node("Div", [f"{y}m", f"{y}three"], [f"{y}d"]),
        helper.make_node("Sub", [f"{y}d", f"{y}b"], [y]),
    ]


def relu(opset: int, spelling: str, x: str, y: str, constants: Constants) -> list[NodeProto]:
    """max(x, 0)."""
    if spelling == "Max":
        constants[f"{y}zero"] = np.zeros(1)
        return [helper.make_node("Max", [x, f"{y}zero"], [y])]
    if spelling == "Clip" and opset < 11:
        return [helper.make_node("Clip", [x], [y], min=0.0)]
    if spelling == "PRelu":
        constants[f"{y}slope"] = np.zeros(1)
        return [helper.make_node("PRelu", [x, f"{y}slope"], [y])]
    if spelling == "LeakyRelu":
        return [helper.make_node("LeakyRelu", [x], [y], alpha=0.0)]
    return [helper.make_node("Relu", [x], [y])]


def written(path: Path, opset: int, layer: Layer, gate: str) -> Network:
    """The exported net's weights in another spelling."""
    exported = load(ZOO / "models" / f"{EXPORTED}.onnx")
    constants: Constants = {"flat": np.array([0, -1])}
    nodes = [helper.make_node("Reshape", ["x", "flat"], ["a1"])]
    for found in exported.layers:
        i, last = found.index, found.index == exported.depth
        bias = np.zeros(found.operator.channels) if found.operator.bias is None else found.operator.bias
        nodes += layer(f"a{i}", "logits" if last else f"z{i}", constants, found.operator.effective_weight(), bias)
        if not last:
            nodes += relu(opset, gate, f"z{i}", f"a{i + 1}", constants)
    floats = {k: v if v.dtype == np.int64 else v.astype(np.float32) for k, v in constants.items()}
    return load(write_model(path, nodes, floats, ["N", *exported.input_shape], opset=opset))


@pytest.mark.parametrize("layer", [gemm, matmul, conv, difference])
@pytest.mark.parametrize(
    ("opset", "gate"),
    [(7, "LeakyRelu"), (8, "Max"), (9, "Relu"), (10, "Clip"), (12, "PRelu"), (14, "Max"), (19, "PRelu"), (23, "Relu")],
)
def test_the_same_numbers(tmp_path: Path, data: Path, opset: int, gate: str, layer: Layer) -> None:
    net = written(tmp_path / "net.onnx", opset, layer, gate)
    expected, found = (numbers_of(each, data) for each in (load(ZOO / "models" / f"{EXPORTED}.onnx"), net))
    for document in (expected, found):
        del document["parameters"]  # a 3 that divides is a trained number of its file
        for entry in document["layers"] if layer is conv else ():
            del entry["spectral_norm"]  # of a convolution from below, to 1e-4
    require_equal(expected, found, layer.__name__)
