"""Theorem 4.1 where it says met: on random small nets, with and without a tail, does its conclusion hold?

`python -m fuzz.theorems --nets 2000`: a net has its logits behind the last layer, or means of several outputs, and is
compressed as the theorem says; the largest, one in a hundred, are projected, which takes a minute each. Its errors must
not exceed the rows of the net itself whose margin is at most gamma, in more nets than delta / 3 allows.
"""

import argparse
import itertools
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnxbound import Settings, analyze, load, open_rows
from onnxbound.bounds.norms import layer_norms
from onnxbound.compressors.compressed import predict
from onnxbound.compressors.noise import noisy_network
from onnxbound.graph.network import Network
from onnxbound.linear.values import all_values

DELTA = 0.5
"""Large, so that failures that are allowed would be seen to be rare."""

ROWS = 40

_LARGE = 60_000
"""From about here on the theorem projects."""


def random_net(path: Path, random: np.random.Generator) -> tuple[Network, NDArray[np.float32]]:
    """One or two dense layers, their outputs or means over some of them as logits; and rows that it is sure of."""
    classes, width, tail = int(random.integers(2, 4)), int(random.integers(2, 6)), int(random.integers(1, 5))
    size = int(random.choice([6, 40, _LARGE], p=[0.5, 0.49, 0.01]))
    deep = size < _LARGE and random.random() < 0.5
    sizes = [size, width, classes * tail] if deep else [size, classes * tail]
    nodes, constants, name = [], {}, "x"
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        constants[f"w{i}"] = (random.normal(size=(a, b)) / np.sqrt(a)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [name, f"w{i}"], [f"z{i}"]))
        name = f"z{i}"
        if i < len(sizes) - 2:
            nodes.append(helper.make_node("Relu", [name], [f"a{i}"]))
            name = f"a{i}"
    if tail > 1:
        constants["shape"] = np.array([-1, classes, tail])
        nodes.append(helper.make_node("Reshape", [name, "shape"], ["apart"]))
        nodes.append(helper.make_node("ReduceMean", ["apart"], ["logits"], axes=[2], keepdims=0))
    else:
        nodes[-1].output[0] = "logits"
    held = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    ends = [helper.make_tensor_value_info(key, 1, ["N", n]) for key, n in (("x", size), ("logits", classes))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    network = load(path)
    # A large layer sees outputs of one class, which leaves room for a projection, and what cancels in their mean.
    outputs = constants["w0"].shape[1]
    sure = np.repeat(np.eye(classes), tail, axis=1)[:, :outputs] if not deep else random.normal(size=(6, outputs))
    kinds = (sure + random.choice([0, 3]) * random.normal(size=sure.shape)) @ constants["w0"].T
    x = kinds[random.integers(0, len(kinds), ROWS)] + 0.1 * random.normal(size=(ROWS, size)) / np.sqrt(size)
    return network, x.astype(np.float32)


def failed(network: Network, x: NDArray[np.float32], seed: int) -> tuple[bool, bool, bool]:
    """Whether the theorem is met, whether a layer was projected, and whether the conclusion fails."""
    y = all_values(network, x)[network.output].argmax(axis=1)
    settings = Settings(
        measured="all", probes="exact", noise="compression", delta=DELTA, seed=seed, threads=1, engine="numpy"
    )
    report = analyze(network, open_rows((x, y), network), settings)
    (bound,) = [bound for bound in report.bounds if bound.name == "theorem-4.1"]
    if not bound.met or report.margin.gamma is None:
        return False, False, False
    extremes = report.conditions
    compressed = noisy_network(
        network, tuple(map(layer_norms, network.layers)), extremes.layers, extremes.between_contraction,
        gamma=report.margin.gamma, max_logit=report.margin.max_logit_norm, delta=DELTA, rows=len(x), projections=None,
        seed=seed, threads=1,
    )  # fmt: skip
    assert compressed is not None
    assert report.margin.loss_at_gamma is not None
    allowed = round(report.margin.loss_at_gamma * len(x))
    logits = predict(compressed, x)
    own = np.take_along_axis(logits, y[:, None], axis=1)[:, 0]
    np.put_along_axis(logits, y[:, None], -np.inf, axis=1)
    projected = any(weight.method != "kept" for weight in compressed.weights.values())
    return True, projected, int((own <= logits.max(axis=1)).sum()) > allowed


def main() -> None:
    """Count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", type=int, default=2000)
    nets = parser.parse_args().nets
    counts = np.zeros(3, int)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(nets):
            random = np.random.default_rng(seed)
            counts += failed(*random_net(Path(folder) / "net.onnx", random), seed)
            if seed % 50 == 49:
                print(seed + 1, "nets: met, projected, failed", *counts, flush=True)
    assert counts[2] <= DELTA / 3 * max(1, counts[1])


if __name__ == "__main__":
    main()
