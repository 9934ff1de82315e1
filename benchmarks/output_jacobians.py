"""Exact Jacobians to the logits with beta per pixel, against PyTorch's autograd for the gradients alone, for VGG-19.

python -m benchmarks.output_jacobians --rows 8 16 --repeats 5 --threads 2
"""

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.result import Result, Row, print_result
from benchmarks.worker import Worker
from onnxbound.linear.threads import cores

WAYS = ("output", "output, batched", "output, channels last")


def run(rows: Sequence[int], repeats: int, threads: int) -> Result:
    """The benchmark at several batches."""
    found = []
    for count in rows:
        with Worker("numpy_engine", count, threads) as ours, Worker("torch_engine", count, threads) as torch:
            np.testing.assert_allclose(ours("output norms"), torch("output norms"), rtol=2e-3)
            rounds = [ours("output") / min(torch(way) for way in WAYS) for _ in range(repeats + 1)][1:]
        found.append(Row(f"batch {count}: with beta / gradients alone", float(np.median(rounds)), "<= 1"))
    text = (
        "VGG-19 at CIFAR size, 10 classes, float32. onnxbound computes |J|_F from every layer to the logits, and beta"
        " from the largest part of J at one pixel. torch.autograd.grad computes only the gradients of every logit:"
        " class by class, as one batch (vmap) or in channels-last, whichever is fastest. Both times include the forward"
        f" pass. Medians over {repeats} alternating rounds, {threads} threads."
    )
    return Result("Exact Jacobians to the logits", text, tuple(found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16], help="rows per batch")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of both engines")
    options = parser.parse_args()
    print_result(run(options.rows, options.repeats, options.threads))


if __name__ == "__main__":
    main()
