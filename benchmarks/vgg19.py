"""VGG-19 at CIFAR size: 16 convolutions and 3 dense layers with random weights, written with onnx.helper alone."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
"""Widths of the 3x3 convolutions; a 2x2 max-pooling stands behind each block."""

DENSE = (512, 512, 10)
INPUT_SHAPE = (3, 32, 32)


def path(seed: int = 0) -> Path:
    """The file, built on the first call and kept in the folder for temporary files."""
    file = Path(tempfile.gettempdir()) / "onnxbound-benchmarks" / f"vgg19-cifar-{seed}.onnx"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part")
        onnx.save(build(seed), unfinished)
        unfinished.replace(file)
    return file


def build(seed: int) -> onnx.ModelProto:
    """The model; weights are normal with variance 2 / fan-in (He), biases a tenth of that, so no activation dies."""
    generator = np.random.default_rng(seed)
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    name = "x"

    def add(op: str, *constants: NDArray[np.float32], **attributes: Any) -> None:
        nonlocal name
        number = len(nodes)
        inputs = [name, *(f"{op}_{number}_{position}" for position in range(len(constants)))]
        weights.extend(numpy_helper.from_array(c, i) for c, i in zip(constants, inputs[1:], strict=True))
        name = f"{op}_{number}"
        nodes.append(helper.make_node(op, inputs, [name], name, **attributes))

    def parameters(*shape: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weight, bias = generator.normal(0, scale, shape), generator.normal(0, scale / 10, shape[0])
        return weight.astype(np.float32), bias.astype(np.float32)

    width = INPUT_SHAPE[0]
    for block in BLOCKS:
        for channels in block:
            add("Conv", *parameters(channels, width, 3, 3), pads=[1, 1, 1, 1])
            add("Relu")
            width = channels
        add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    add("Flatten")
    for position, units in enumerate(DENSE):
        add("Gemm", *parameters(units, width), transB=1)
        width = units
        if position < len(DENSE) - 1:
            add("Relu")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *INPUT_SHAPE])
    y = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
    graph = helper.make_graph(nodes, "vgg19", [x], [y], weights)
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
