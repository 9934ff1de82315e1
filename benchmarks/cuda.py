"""VGG-19 on a GPU: rows per second, and the ratio to torch.func there; written to `cuda.md` beside this file.

    python -m benchmarks.cuda

Needs a GPU that onnxruntime and PyTorch both find. Everything is strict float32: no TF32. Times include the noise,
which is made on the host, and the transfers; torch.func's noise lies on the GPU and is not timed.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks import torch_engine, vgg19
from benchmarks.all_pairs import require_agreement
from benchmarks.numpy_engine import PROGRAMME, norms, rows_of
from benchmarks.result import Result, Row, as_markdown
from benchmarks.worker import seconds
from onnxbound.graph.load import load
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.run.device import resolve_device


def measure(rows: int, repeats: int) -> tuple[Row, ...]:
    """Rows per second of both at one batch, in alternating rounds."""
    engine = OnnxruntimeEngine(load(vgg19.path()), PROGRAMME, resolve_device("cuda"), None)
    x, index = rows_of(rows), np.arange(rows)
    theirs = [
        torch_engine.TorchTimes(rows, layout, "cuda") for layout in (torch.contiguous_format, torch.channels_last)
    ]
    jacobian, residual = theirs[0].measure()
    require_agreement(
        norms(engine.measure(index, x)),
        {"jacobian": jacobian[:, 0].tolist(), "residual": residual[:, 0].tolist()},
    )

    def theirs_in_full(measured: torch_engine.TorchTimes) -> Any:
        found = measured.measure()
        torch.cuda.synchronize()
        return found

    rounds = []
    for _ in range(repeats + 1):
        ours = seconds(partial(engine.measure, index, x))
        rounds.append((ours, min(seconds(partial(theirs_in_full, each)) for each in theirs)))
    ours, other = np.array(rounds[1:]).T
    return (
        Row(f"batch {rows}: rows per second", rows / float(np.median(ours)), "> 800"),
        Row(f"batch {rows}: torch.func, rows per second", rows / float(np.median(other))),
        Row(f"batch {rows}: all pairs / torch.func, time", float(np.median(ours / other))),
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[32, 128], help="rows per batch")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    text = (
        "VGG-19 at CIFAR size, one probe per layer: |J g| and the deviation from linearity of all 171 pairs, strict"
        f" float32. {torch.cuda.get_device_name()}, onnxruntime {onnxruntime.__version__}, torch {torch.__version__};"
        f" medians over {options.repeats} alternating rounds."
    )
    rows = tuple(row for count in options.rows for row in measure(count, options.repeats))
    report = "# On a GPU\n\n" + as_markdown(Result("All pairs and smoothness", text, rows)) + "\n"
    print(report)
    Path(__file__).with_name("cuda.md").write_text(report)


if __name__ == "__main__":
    main()
