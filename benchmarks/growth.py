"""How the cost of all pairs grows with depth and width, and that of a whole analysis with the rows and with workers.

python -m benchmarks.growth --repeats 5
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from benchmarks.numpy_engine import forward
from benchmarks.result import Result, Row, print_result
from benchmarks.worker import seconds
from onnxbound import Preprocessing, Settings, load, open_rows
from onnxbound.analysis.analyze import analyze
from onnxbound.graph.network import Network
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.programme import Programme
from onnxbound.linear.threads import cores
from onnxbound.run.cluster import open_cluster
from onnxbound.run.executor import Executor

PROGRAMME = Programme("affine", 1, False, False, 0.1, False, seed=0)
DEPTHS, WIDTHS, ROWS = (4, 8, 16), (16, 32, 64), (1000, 2000, 4000)
BATCH = 16


def conv_chain(folder: Path, depth: int, width: int) -> Network:
    """`depth - 1` convolutions of `width` channels on 12 x 12 pixels, each with a Relu, and a dense layer."""
    random = np.random.default_rng(0)
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    name, channels = "x", 3
    for number in range(depth - 1):
        kernel = random.normal(size=(width, channels, 3, 3)) * np.sqrt(2 / (9 * channels))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"w{number}"))
        nodes.append(helper.make_node("Conv", [name, f"w{number}"], [f"x{number}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"x{number}"], [f"a{number}"]))
        name, channels = f"a{number}", width
    dense = random.normal(size=(width, 10)).astype(np.float32)
    weights.append(numpy_helper.from_array(dense, "dense"))
    nodes.append(helper.make_node("GlobalAveragePool", [name], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", "dense"], ["logits"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 12, 12])
    y = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "chain", [x], [y], weights)
    path = folder / f"chain-{depth}-{width}.onnx"
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    return load(path)


def rows_for(network: Network, count: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((count, *network.input_shape)).astype(np.float32)


def forward_passes(network: Network, repeats: int) -> float:
    """Cost of all pairs and smoothness in units of the same engine's forward pass, median of alternating rounds."""
    x, index = rows_for(network, BATCH), np.arange(BATCH)
    engine, plain = NumpyEngine(network, PROGRAMME), network.cast(np.float32)
    rounds = [
        seconds(partial(engine.measure, index, x)) / seconds(partial(forward, plain, x)) for _ in range(repeats + 1)
    ]
    return float(np.median(rounds[1:]))


def analysis(folder: Path, network: Network, count: int, executor: Executor | None = None) -> Callable[[], Any]:
    """A whole analysis of that many rows, all of them measured."""
    file = folder / f"{count}.npz"
    np.savez(file, x=rows_for(network, count), y=np.arange(count) % 10)
    rows = open_rows(file, network, Preprocessing())
    settings = Settings(measured=None, probes=1, threads=1, engine="numpy")
    return lambda: analyze(network, rows, settings, executor=executor)


def run(repeats: int) -> Result:
    """The benchmark."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        by_depth = {depth: forward_passes(conv_chain(folder, depth, 32), repeats) for depth in DEPTHS}
        found += [Row(f"depth {d}: all pairs / own forward pass", cost) for d, cost in by_depth.items()]
        grown = by_depth[DEPTHS[-1]] / by_depth[DEPTHS[0]]
        ratio = DEPTHS[-1] / DEPTHS[0]
        found.append(Row(f"depth times {ratio:g}: forward passes times", grown, f"<= {1.5 * ratio:g}"))
        for width in WIDTHS:
            cost = forward_passes(conv_chain(folder, 8, width), repeats)
            found.append(Row(f"width {width}, depth 8: all pairs / own forward pass", cost))
        network = conv_chain(folder, 4, 16)
        taken = {count: seconds(analysis(folder, network, count)) for count in (ROWS[0], *ROWS)}
        for small, large in pairwise(ROWS):
            found.append(Row(f"m = {large:,} / m = {small:,}, time", taken[large] / taken[small], "<= 2.5"))
        found += list(workers(folder, network))
    text = (
        "Convolutions of 3x3 on 12 x 12 pixels, one probe per layer, NumPy engine, batch 16. With a separate pass for"
        " each of the d (d - 1) / 2 pairs of the d layers, the cost would grow with d^2. One sweep for all pairs costs"
        f" about d forward passes. Costs in forward passes are medians over {repeats} rounds. The fourth number is the"
        f" factor by which this cost grows if the depth is multiplied by {DEPTHS[-1] // DEPTHS[0]}. The last three"
        " numbers compare whole analyses of m rows, with all rows measured, and were timed once."
    )
    return Result("Growth", text, tuple(found))


def workers(folder: Path, network: Network) -> list[Row]:
    """A whole analysis on one and on two worker processes of one thread each."""
    times = {}
    for count in (1, 2):
        with open_cluster(f"local:{count}") as cluster:
            task = analysis(folder, network, ROWS[-1], cluster)
            task()  # workers import and build
            times[count] = seconds(task)
    return [Row("two workers / one worker, time", times[2] / times[1], "< 1")]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    print_result(run(parser.parse_args().repeats))
    print(f"({cores()} processors)")


if __name__ == "__main__":
    main()
