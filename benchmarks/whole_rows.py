"""The whole work of `analyze` per row, with one probe: all pairs, smoothness and Jacobians to the logits of VGG-19.

Both engines measure a batch of their own choice, PyTorch the better one of those that are asked for, with `jvp` and a
perturbed pass per layer and `autograd.grad` per class. From the command line, the same is the difference of two runs.

    python -m benchmarks.whole_rows --rows 8 16 --repeats 5 --threads 2
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import vgg19
from benchmarks.all_pairs import MEMORY_FORMATS
from benchmarks.memory import write_rows
from benchmarks.numpy_engine import WHOLE_ROWS
from benchmarks.output_jacobians import WAYS
from benchmarks.result import Result, Row, print_result
from benchmarks.worker import ROOT, Worker, environment, seconds
from onnxbound.linear.threads import cores

OWN = ("whole rows", "whole rows, onnxruntime")
FEW, MANY = 1024, 1280
"""Rows of the two analyses: up to 1,000, the rows that noise in weights is measured at grow too."""

COMMANDS = 2
"""Times that the command line runs both, which takes some minutes each."""

OPTIONS = ("--layout", "nhwc", "--scale", "1/255", "--measured", "all", "--probes", "1", "-q", "--json")


def run(rows: Sequence[int], repeats: int, threads: int) -> Result:
    """The benchmark."""
    with ExitStack() as stack:
        start = partial(Worker, threads=threads)
        ours = stack.enter_context(start("numpy_engine", WHOLE_ROWS))
        torch = {count: stack.enter_context(start("torch_engine", count)) for count in rows}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for count in (FEW, MANY):
            write_rows(folder / f"{count}.npz", count)
        rounds = [one_round(ours, torch) for _ in range(repeats + 1)][1:]
        command = min(command_seconds_per_row(folder, threads) for _ in range(COMMANDS))

    def median(way: str) -> float:
        return float(np.median([times[way] / times["torch"] for times in rounds]))

    measured = (
        Row("the NumPy engine / torch", median(OWN[0]), "<= 0.5"),
        Row("the onnxruntime engine / torch", median(OWN[1])),
        Row("a row of `onnxbound analyze` / torch", command / min(each["torch"] for each in rounds), "<= 0.5"),
        Row("`onnxbound analyze`, milliseconds per row", 1e3 * command),
    )
    text = (
        "VGG-19 at CIFAR size, float32, one probe per layer. The work is |J g| and the deviation from linearity of all"
        " pairs of layers, and exact Jacobians to the logits. The engines of onnxbound measure"
        f" {WHOLE_ROWS} rows at once, PyTorch {' or '.join(map(str, rows))}, whichever is faster per row. The first two"
        f" numbers are medians over {repeats} alternating rounds, with {threads} threads. The time of a row of"
        f" `onnxbound analyze` is the difference between the times of runs on {MANY} and {FEW} rows, divided by"
        f" {MANY - FEW}. It is the least of {COMMANDS} measurements. The third number divides it by PyTorch's least"
        " time for a row."
    )
    return Result("Whole rows", text, measured)


def one_round(ours: Worker, torch: dict[int, Worker]) -> dict[str, float]:
    """Seconds per row of every way."""
    times = {name: float(ours(name)) / WHOLE_ROWS for name in OWN}
    return times | {"torch": min(torch_seconds(worker) / count for count, worker in torch.items())}


def torch_seconds(torch: Worker) -> float:
    """All pairs and gradients, each in the faster way."""
    pairs = min(float(torch(f"all pairs{memory_format}")) for memory_format in MEMORY_FORMATS)
    return pairs + min(float(torch(way)) for way in WAYS)


def command_seconds_per_row(folder: Path, threads: int) -> float:
    """What a row more takes the command line."""
    few, many = (command_seconds(folder / f"{count}.npz", threads) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def command_seconds(data: Path, threads: int) -> float:
    """Duration of one analysis of all rows of a file."""
    command = [sys.executable, "-m", "onnxbound", "analyze", str(vgg19.path()), "--data", str(data), *OPTIONS]
    call = partial(subprocess.run, command, cwd=ROOT, env=environment(threads), check=True, capture_output=True)
    return seconds(call)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16], help="rows per batch of PyTorch")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of every engine")
    options = parser.parse_args()
    print_result(run(options.rows, options.repeats, options.threads))


if __name__ == "__main__":
    main()
