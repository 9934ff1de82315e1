"""Cost per row of all pairs and smoothness, one probe per layer, for VGG-19 at CIFAR size.

Everything is measured in alternating rounds, and what is reported are medians of the ratios within a round, so other
load on the machine, or a processor that changes its clock, weighs on both sides of a ratio.

    python -m benchmarks.all_pairs --rows 4 8 16 --repeats 7 --threads 2
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import numpy_engine, vgg19
from benchmarks.result import Result, Row, print_result
from benchmarks.worker import Worker
from onnxbound.graph.load import load
from onnxbound.linear.threads import cores

FORWARD_PASSES = 25.0
"""Most forward passes that all pairs and smoothness may cost."""

MEMORY_FORMATS = ("", ", channels last")


def measure(rows: int, repeats: int, threads: int) -> tuple[Row, ...]:
    """All ratios at one batch."""
    with Worker("numpy_engine", rows, threads) as ours, Worker("torch_engine", rows, threads) as torch:
        require_agreement(ours("norms"), torch("norms"))
        rounds = [one_round(ours, torch) for _ in range(repeats + 1)][1:]
    forward_cost, pairs_cost = numpy_engine.multiply_adds(load(vgg19.path()))
    gemm_cost = float(np.prod(numpy_engine.GEMM)) / rows

    def median(top: str, bottom: str) -> float:
        return float(np.median([times[top] / times[bottom] for times in rounds]))

    numbers = (
        ("all pairs / own forward pass", median("all pairs", "forward"), f"<= {FORWARD_PASSES:g}"),
        ("all pairs / torch.func", median("all pairs", "torch, all pairs"), "<= 0.4545"),
        ("all pairs / its multiply-adds at BLAS rate", median("all pairs", "gemm") * gemm_cost / pairs_cost, "<= 1.4"),
        (
            "all pairs by the onnxruntime engine / by the NumPy engine",
            median("all pairs, onnxruntime", "all pairs"),
            "",
        ),
        ("forward pass / its multiply-adds at BLAS rate", median("forward", "gemm") * gemm_cost / forward_cost, ""),
        ("forward pass / torch's", median("forward", "torch, forward"), ""),
    )
    return tuple(Row(f"batch {rows}: {name}", value, goal) for name, value, goal in numbers)


def one_round(ours: Worker, torch: Worker) -> dict[str, float]:
    """Seconds of every task; of torch's two memory formats the faster. A first round warms caches and allocators."""
    times = {name: float(ours(name)) for name in ("gemm", "forward", "all pairs", "all pairs, onnxruntime")}
    for name in ("forward", "all pairs"):
        times[f"torch, {name}"] = min(float(torch(name + memory_format)) for memory_format in MEMORY_FORMATS)
    return times


def require_agreement(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Both engines measure the same numbers, or their times mean nothing."""
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=2e-3, err_msg=name)


def run(rows: Sequence[int], repeats: int, threads: int) -> Result:
    """The benchmark at several batches."""
    forward_cost, pairs_cost = numpy_engine.multiply_adds(load(vgg19.path()))
    text = (
        "VGG-19 at CIFAR size (16 convolutions, 3 dense layers, random weights), float32, one probe per layer. The"
        " benchmark computes |J g| and the deviation from linearity for all 171 pairs of layers. A row takes"
        f" {forward_cost / 1e9:.3f}e9 multiply-adds in a forward pass, and {pairs_cost / 1e9:.2f}e9 for all pairs"
        f" ({pairs_cost / forward_cost:.1f} times as many). torch.func computes one jvp and one perturbed forward pass"
        " for each layer at which pairs start, in the faster of two memory formats. Medians over"
        f" {repeats} alternating rounds, {threads} threads."
    )
    return Result("All pairs and smoothness", text, tuple(row for n in rows for row in measure(n, repeats, threads)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16], help="rows per batch")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of every engine")
    options = parser.parse_args()
    print_result(run(options.rows, options.repeats, options.threads))


if __name__ == "__main__":
    main()
