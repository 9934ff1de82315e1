"""Spectral norms with proved upper bounds, against numpy's singular values of the same matrices.

python -m benchmarks.norms --repeats 3
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.result import Result, Row, print_result
from benchmarks.worker import seconds
from onnxbound.bounds.norms import layer_norms
from onnxbound.bounds.spectral import spectral_norm_and_upper
from onnxbound.graph.load import load
from onnxbound.graph.network import Layer

SIZES = (1024, 2048)
LARGEST = 4096


def conv_layer(folder: Path) -> Layer:
    """512 channels to 512, 3 x 3, on 8 x 8 pixels."""
    weight = np.random.default_rng(0).normal(size=(512, 512, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        helper.make_node("GlobalAveragePool", ["c"], ["m"]),
        helper.make_node("Flatten", ["m"], ["logits"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 512, 8, 8])
    y = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 512])
    graph = helper.make_graph(nodes, "conv", [x], [y], [numpy_helper.from_array(weight, "w")])
    path = folder / "conv.onnx"
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    return load(path).layers[0]


def run(repeats: int) -> Result:
    """The benchmark."""
    found = []
    for size in SIZES:
        matrix = np.random.default_rng(0).normal(size=(size, size))
        rounds = [
            seconds(partial(spectral_norm_and_upper, matrix))
            / seconds(partial(np.linalg.svd, matrix, compute_uv=False))
            for _ in range(repeats)
        ]
        found.append(Row(f"{size} x {size}: norm and bound / numpy's SVD", float(np.median(rounds)), "< 1"))
    matrix = np.random.default_rng(0).normal(size=(LARGEST, LARGEST))
    value, upper = spectral_norm_and_upper(matrix)
    found.append(Row(f"{LARGEST} x {LARGEST}, seconds", seconds(partial(spectral_norm_and_upper, matrix))))
    found.append(Row(f"{LARGEST} x {LARGEST}: bound / norm - 1, in 1e-9", (upper / value - 1) * 1e9))
    with tempfile.TemporaryDirectory() as folder:
        layer = conv_layer(Path(folder))
        taken = seconds(partial(layer_norms, layer))
        spectral = layer_norms(layer).spectral
    found.append(Row("conv 512 x 512 x 3 x 3 on 8 x 8, all norms, seconds", taken))
    found.append(
        Row("conv 512 x 512 x 3 x 3: proved bound / power iteration", spectral.upper.value / spectral.estimate)
    )
    found.append(
        Row("conv 512 x 512 x 3 x 3: power iteration / kernel matrix", spectral.estimate / spectral.kernel_matrix)
    )
    text = (
        "Gaussian matrices in float64. The bound is proved by a Cholesky factorisation, that of the convolution by one"
        f" per frequency of a torus. Medians over {repeats} rounds where ratios."
    )
    return Result("Spectral norms", text, tuple(found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    print_result(run(parser.parse_args().repeats))


if __name__ == "__main__":
    main()
