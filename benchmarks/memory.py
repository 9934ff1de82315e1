"""Peak memory of `onnxbound analyze`: the same at m = 2,000 and at m = 50,000 rows, and within 2 GB for VGG-19.

python -m benchmarks.memory --threads 2
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import vgg19
from benchmarks.result import Result, Row, print_result
from benchmarks.worker import ROOT, environment
from onnxbound.linear.threads import cores

MODEL = ROOT / "fixtures" / "cifar10_cnn.onnx"
SMALL, LARGE = 2_000, 50_000
OPTIONS = ("--layout", "nhwc", "--scale", "1/255", "--measured", "100", "--json", "-q")
VGG_ROWS = 500


def write_rows(file: Path, count: int) -> None:
    """Random bytes as CIFAR-like images, labels in turn."""
    generator = np.random.default_rng(count)
    images = generator.integers(0, 256, (count, 32, 32, 3), np.uint8)
    np.savez(file, x_train=images, y_train=np.arange(count) % 10)


def peak_bytes(model: Path, data: Path, threads: int) -> int:
    """Largest resident set of the command, as its report has it."""
    command = [sys.executable, "-m", "onnxbound", "analyze", str(model), "--data", str(data), *OPTIONS]
    done = subprocess.run(command, cwd=ROOT, env=environment(threads), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"analyze ended with {done.returncode}: {done.stderr or done.stdout}")
    peak: int = json.loads(done.stdout)["tool"]["peak_rss_bytes"]
    return peak


def run(threads: int) -> Result:
    """The benchmark."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (SMALL, LARGE):
            data = Path(folder) / f"{count}.npz"
            write_rows(data, count)
            peaks[count] = peak_bytes(MODEL, data, threads)
            data.unlink()
        data = Path(folder) / "vgg19.npz"
        write_rows(data, VGG_ROWS)
        large = peak_bytes(vgg19.path(), data, threads)
    rows = (
        Row(f"peak at m = {LARGE:,} / peak at m = {SMALL:,}", peaks[LARGE] / peaks[SMALL], "<= 1.1"),
        *(Row(f"peak at m = {count:,}, MiB", peak / 2**20) for count, peak in peaks.items()),
        Row("VGG-19, both engines tried, GB", large / 1e9, "<= 2"),
    )
    text = (
        f"The peak is the largest resident set of `onnxbound analyze fixtures/{MODEL.name} {' '.join(OPTIONS)}` on m"
        " synthetic rows. It includes the pages of the memory-mapped data file that the system keeps in memory. The"
        f" last number is the peak of the same command with VGG-19 and {VGG_ROWS} rows."
    )
    return Result("Memory", text, rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=cores(), help="threads of the command")
    print_result(run(parser.parse_args().threads))


if __name__ == "__main__":
    main()
