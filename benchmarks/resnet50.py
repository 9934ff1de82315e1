"""ResNet-50 of half width at 224 x 224: how long a row takes, over its multiply-adds at the rate of matrix products.

Half width as in Yahoo's Open NSFW model; weights are random. In a net with branches most of the time goes into what is
not a matrix product, so this is the hard case for the engine.

    python -m benchmarks.resnet50 --rows 4 --repeats 5 --threads 2
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from benchmarks.numpy_engine import GEMM, WHOLE, gemm_seconds, multiply_adds
from benchmarks.result import Result, Row, print_result
from benchmarks.worker import seconds
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.threads import cores

STAGES = ((32, 3), (64, 4), (128, 6), (256, 3))
"""Width of the bottleneck, and blocks."""

INPUT_SHAPE = (3, 224, 224)
CLASSES = 2


def build(seed: int = 0) -> onnx.ModelProto:
    """The model, without BatchNormalization, which onnxbound would fold away."""
    generator = np.random.default_rng(seed)
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op}_{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def weighted(op: str, x: str, *shape: int, **attributes: Any) -> str:
        names = f"weight_{len(nodes)}", f"bias_{len(nodes)}"
        # A branch is half as large as what it is added to, so that values do not grow from block to block.
        values = generator.normal(0, np.sqrt(1 / np.prod(shape[1:])), shape), np.zeros(shape[0])
        weights.extend(numpy_helper.from_array(v.astype(np.float32), n) for n, v in zip(names, values, strict=True))
        return add(op, x, *names, **attributes)

    def conv(x: str, channels: int, width: int, kernel: int, stride: int = 1) -> str:
        before = (kernel - 1) // 2
        return weighted("Conv", x, channels, width, kernel, kernel, strides=[stride] * 2, pads=[before] * 4)

    x = add("Relu", conv("x", 64, 3, 7, 2))
    x, width = add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 64
    for stage, (narrow, blocks) in enumerate(STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inner = add("Relu", conv(x, narrow, width, 1, stride))
            inner = add("Relu", conv(inner, narrow, narrow, 3))
            branch = conv(inner, 4 * narrow, narrow, 1)
            x = add("Relu", add("Add", x if block else conv(x, 4 * narrow, width, 1, stride), branch))
            width = 4 * narrow
    logits = weighted("Gemm", add("Flatten", add("GlobalAveragePool", x)), CLASSES, width, transB=1)
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *INPUT_SHAPE])]
    outputs = [helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["N", CLASSES])]
    graph = helper.make_graph(nodes, "resnet50", inputs, outputs, weights)
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])


def whole_cost(network: Network) -> int:
    """Multiply-adds per row of all pairs with smoothness, and of the cotangents of the logits."""
    _, pairs = multiply_adds(network)
    return pairs + CLASSES * sum(layer.multiply_adds for layer in network.layers[1:])


def run(rows: int, repeats: int, threads: int) -> Result:
    """The benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(build(), Path(folder) / "net.onnx")
        network = load(Path(folder) / "net.onnx")
    x = np.random.default_rng(1).standard_normal((rows, *INPUT_SHAPE)).astype(np.float32)
    engine, index = NumpyEngine(network, WHOLE, threads), np.arange(rows)
    rounds = np.array([(seconds(lambda: engine.measure(index, x)), gemm_seconds()) for _ in range(repeats + 1)][1:])
    whole, gemm = rounds.T
    products = gemm / np.prod(GEMM) * whole_cost(network)
    text = (
        f"ResNet-50 of half width on 224 x 224 pixels, {network.depth} layers, random weights, float32, one probe per"
        " layer. The work is |J g| and the deviation from linearity of all pairs of layers, and exact Jacobians to the"
        f" logits. A row takes {whole_cost(network) / 1e9:.1f}e9 multiply-adds. NumPy engine, {rows} rows, medians over"
        f" {repeats} rounds."
    )
    measured = (
        Row(
            "a net with branches: a row / its multiply-adds at BLAS rate",
            float(np.median(whole / rows / products)),
            "<= 1.3",
        ),
        Row("milliseconds per row", 1e3 * float(np.median(whole)) / rows),
    )
    return Result("A net with branches", text, measured)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4, help="rows per batch")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of the engine")
    options = parser.parse_args()
    print_result(run(options.rows, options.repeats, options.threads))


if __name__ == "__main__":
    main()
