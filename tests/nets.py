"""Small ONNX nets written by hand."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = Sequence[tuple[NDArray[Any], NDArray[Any] | None]]


def model_of(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    input_shape: Sequence[int | str | None],
    *,
    opset: int = 17,
    output: str = "logits",
    input_type: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A graph from "x" to `output`."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", input_type, list(input_shape))],
        [onnx.ValueInfoProto(name=output)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def write_model(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    input_shape: Sequence[int | str | None],
    **options: Any,
) -> Path:
    """Write `model_of` the same arguments."""
    path.write_bytes(model_of(nodes, constants, input_shape, **options).SerializeToString())
    return path


def mlp(path: Path, weights: Weights, *, batch: int | str = "N") -> Path:
    """Gemm-Relu-...-Gemm; each weight is (h_out, h_in), each bias (h_out,) or None."""
    nodes, constants, name = [], {}, "x"
    for number, (weight, bias) in enumerate(weights, start=1):
        last = number == len(weights)
        constants[f"w{number}"] = weight.astype(np.float32)
        inputs = [name, f"w{number}"]
        if bias is not None:
            constants[f"b{number}"] = bias.astype(np.float32)
            inputs.append(f"b{number}")
        output = "logits" if last else f"x{number}"
        nodes.append(helper.make_node("Gemm", inputs, [output], transB=1, name=f"layer{number}"))
        if not last:
            name = f"a{number + 1}"
            nodes.append(helper.make_node("Relu", [output], [name]))
    return write_model(path, nodes, constants, [batch, weights[0][0].shape[1]])


def random_mlp(path: Path, sizes: Sequence[int], seed: int = 0, *, biased: bool = True, batch: int | str = "N") -> Path:
    """An MLP with Gaussian weights of variance 2 / h_in."""
    random = np.random.default_rng(seed)
    weights: list[tuple[NDArray[Any], NDArray[Any] | None]] = [
        (random.normal(size=(o, i)) * np.sqrt(2 / i), random.normal(size=o) * 0.3 if biased else None)
        for i, o in itertools.pairwise(sizes)
    ]
    return mlp(path, weights, batch=batch)
