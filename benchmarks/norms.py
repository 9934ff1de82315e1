"""Spectral norms with proved upper bounds, against NumPy's singular values and WeightWatcher's of the same layers.

python -m benchmarks.norms --repeats 3
"""

import argparse
import logging
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.result import Result, Row, print_result
from benchmarks.worker import seconds
from onnxbound.bounds.norms import layer_norms
from onnxbound.bounds.spectral import spectral_norm_and_upper
from onnxbound.graph.layer import Layer
from onnxbound.graph.load import load

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


def weightwatcher_spectrum(matrix: NDArray[np.float64]) -> Callable[[], NDArray[np.float64]]:
    """Squared singular values of a dense layer as WeightWatcher finds them; no fit of a power law."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from weightwatcher import WeightWatcher

        layer = torch.nn.Linear(*matrix.shape[::-1], bias=False)
        layer.weight = torch.nn.Parameter(torch.tensor(matrix, dtype=torch.float32))
        watcher = WeightWatcher(model=torch.nn.Sequential(layer))
        number = int(watcher.describe().layer_id[0])
    return partial(watcher.get_ESD, layer=number)


def run(repeats: int) -> Result:
    """The benchmark."""
    found = []
    for size in SIZES:
        matrix = np.random.default_rng(0).normal(size=(size, size))
        spectrum = weightwatcher_spectrum(matrix)
        np.testing.assert_allclose(np.sqrt(spectrum().max()), spectral_norm_and_upper(matrix)[0], rtol=1e-5)
        others: dict[str, Callable[[], object]] = {
            "NumPy's SVD": partial(np.linalg.svd, matrix, compute_uv=False),
            "WeightWatcher's spectrum": spectrum,
        }
        first = partial(spectral_norm_and_upper, matrix)
        rounds = [[seconds(first), *(seconds(way) for way in others.values())] for _ in range(repeats)]
        for place, name in enumerate(others, start=1):
            ratio = float(np.median([times[0] / times[place] for times in rounds]))
            found.append(Row(f"{size} x {size}: norm and bound / {name}", ratio, "< 1"))
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
        "The matrices are Gaussian. WeightWatcher finds all singular values with PyTorch, in float32. onnxbound proves"
        " its bound on the spectral norm by a Cholesky factorisation. For the convolution, it bounds the norm with"
        " periodic boundaries, by one factorisation per frequency. Comparisons with NumPy and WeightWatcher are ratios"
        f" of times, medians over {repeats} rounds. The last two numbers are ratios of norms."
    )
    return Result("Spectral norms", text, tuple(found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    print_result(run(parser.parse_args().repeats))


if __name__ == "__main__":
    main()
