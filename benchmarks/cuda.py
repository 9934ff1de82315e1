"""VGG-19 on a GPU: rows per second, and the ratio to torch.func there; written to `cuda.md` beside this file.

    python -m benchmarks.cuda
    python -m benchmarks.cuda --device cpu --rows 2 --repeats 1 --output /tmp/cuda.md

Needs a GPU that onnxruntime and PyTorch both find; on a CPU it shows only that everything runs. Nothing uses TF32.
Times include the noise, which is made on the host while the batch before it is computed, and the transfers; the noise
of torch.func lies on the GPU and is not timed. The table is written anew after each batch size, so a run that is cut
off leaves one.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks import torch_engine, vgg19
from benchmarks.all_pairs import require_agreement
from benchmarks.numpy_engine import PROGRAMME, multiply_adds, norms, rows_of
from benchmarks.result import Result, Row, as_markdown
from benchmarks.worker import seconds
from onnxbound.graph.load import load
from onnxbound.linear.choose_engine import HALF_DIFFERENCE, largest_change
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.run.device import Device, resolve_device

GOALS = {"float32": "> 800", "half": "> 1500"}
BATCHES = 4
"""Batches in a row, of which the noise of all but the first is made ahead."""

SIDE = 8192
"""Of the matrices whose product shows what the device can do."""


def finished(run: Callable[[], Any], place: str) -> Callable[[], None]:
    """What runs, and waits until a GPU has done it."""

    def until_done() -> None:
        run()
        if place == "cuda":
            torch.cuda.synchronize()

    return until_done


def measure(device: Device, rows: int, repeats: int) -> tuple[Row, ...]:
    """Rows per second of all ways at one batch, in alternating rounds."""
    network, x, index = load(vgg19.path()), rows_of(rows), np.arange(rows)
    ours = {
        name: OnnxruntimeEngine(network, PROGRAMME, device, None, half=name == "half") for name in ("float32", "half")
    }
    place = device.name.partition(":")[0]
    layouts = torch.contiguous_format, torch.channels_last
    theirs = [torch_engine.TorchTimes(rows, layout, place) for layout in layouts]
    found = {name: engine.measure(index, x) for name, engine in ours.items()}
    jacobian, residual = theirs[0].measure()
    reference = {"jacobian": jacobian[:, 0].tolist(), "residual": residual[:, 0].tolist()}
    require_agreement(norms(found["float32"]), reference)

    order = np.arange(rows * BATCHES)

    def in_a_row(engine: OnnxruntimeEngine) -> None:
        engine.foresee(order)
        for part in np.split(order, BATCHES):
            engine.measure(part, x)

    rounds = []
    for _ in range(repeats + 1):
        own = [seconds(partial(in_a_row, engine)) / BATCHES for engine in ours.values()]
        rounds.append([*own, min(seconds(finished(each.measure, place)) for each in theirs)])
    single, half, other = np.array(rounds[1:]).T

    def rate(taken: np.ndarray) -> float:
        return rows / float(np.median(taken))

    work = multiply_adds(network)[1]
    return (
        Row(f"batch {rows}: rows per second, float32", rate(single), GOALS["float32"]),
        Row(f"batch {rows}: rows per second, half precision", rate(half), GOALS["half"]),
        Row(f"batch {rows}: torch.func, rows per second", rate(other)),
        Row(f"batch {rows}: float32 / torch.func, time", float(np.median(single / other))),
        Row(f"batch {rows}: half precision / torch.func, time", float(np.median(half / other)), "<= 0.667"),
        Row(
            f"batch {rows}: largest change by half precision, 1e-6",
            1e6 * largest_change(found["float32"], found["half"]),
            f"<= {1e6 * HALF_DIFFERENCE:g}",
        ),
        Row(f"batch {rows}: float32, 10^12 multiply-adds per second", 1e-12 * work * rate(single)),
        Row(f"batch {rows}: half precision, 10^12 multiply-adds per second", 1e-12 * work * rate(half)),
    )


def compiled(place: str, rows: int, repeats: int) -> tuple[Row, ...]:
    """torch.func.jvp under torch.compile."""
    measured = torch_engine.TorchTimes(rows, torch.channels_last, place)
    run = finished(torch.compile(measured.measure), place)
    run()
    taken = float(np.median([seconds(run) for _ in range(repeats)]))
    return (Row(f"batch {rows}: torch.func under torch.compile, rows per second", rows / taken),)


def roofline(place: str) -> tuple[Row, ...]:
    """What products of large square matrices reach."""
    side = SIDE if place == "cuda" else SIDE // 8

    def rate(dtype: torch.dtype) -> float:
        a, b = (torch.randn(side, side, device=place).to(dtype) for _ in range(2))

        product = finished(partial(torch.matmul, a, b), place)
        product()
        return 1e-12 * side**3 / min(seconds(product) for _ in range(5))

    names = {"float32": torch.float32, "float16": torch.float16}
    return tuple(
        Row(f"a product of matrices in {name}, 10^12 multiply-adds per second", rate(dtype))
        for name, dtype in names.items()
    )


def parts(options: argparse.Namespace, device: Device) -> Iterator[tuple[Row, ...]]:
    """Every part of the table, the quick ones first."""
    place = device.name.partition(":")[0]
    yield roofline(place)
    for count in options.rows:
        yield measure(device, count, options.repeats)
    if options.compile:
        yield compiled(place, options.rows[-1], options.repeats)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    parser.add_argument("--rows", type=int, nargs="+", default=[32, 128, 512], help="rows per batch")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--compile", action="store_true", help="time torch.compile as well, which takes minutes")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("cuda.md"), help="the page")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = resolve_device(options.device)
    on = torch.cuda.get_device_name() if device.name != "cpu" else "a CPU"
    text = (
        "VGG-19 at CIFAR size, without TF32, one probe g per layer. The benchmark computes |J g| and the deviation from"
        " linearity for all 171 pairs of layers; J is the Jacobian of a pair. The numbers are medians over"
        f" {options.repeats} alternating rounds of {BATCHES} batches each, on {on} with onnxruntime"
        f" {onnxruntime.__version__} and torch {torch.__version__}."
    )
    rows: tuple[Row, ...] = ()
    for more in parts(options, device):
        rows += more
        report = "# On a GPU\n\n" + as_markdown(Result("All pairs and smoothness", text, rows)) + "\n"
        options.output.write_text(report)
    print(report)


if __name__ == "__main__":
    main()
