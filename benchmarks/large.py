"""Peak anonymous and file-backed memory, and time, of `inspect` and `analyze` on a net of more than 2 GB. Linux only.

python -m benchmarks.large --threads 2
"""

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks.result import Result, Row, print_result
from benchmarks.worker import ROOT, environment
from onnxbound.linear.threads import cores

INPUTS, CLASSES, ROWS, STRIP = 784, 10, 200, 1000


def write_net(folder: Path, width: int, hidden: int) -> int:
    """A chain of Gemm and Relu whose distinct He-normal weights lie in net.data; returns their bytes."""
    sizes = [INPUTS, *(width,) * (hidden + 1), CLASSES]
    random, nodes, weights, name, offset = np.random.default_rng(0), [], [], "x", 0
    with (folder / "net.data").open("wb") as file:
        for layer, (fan_in, units) in enumerate(pairwise(sizes)):
            for start in range(0, units, STRIP):
                strip = random.standard_normal((min(STRIP, units - start), fan_in), np.float32)
                file.write((strip * np.float32((2 / fan_in) ** 0.5)).tobytes())
            tensor = TensorProto(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=(units, fan_in))
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", "net.data"), ("offset", offset), ("length", 4 * units * fan_in)):
                tensor.external_data.add(key=key, value=str(value))
            offset += 4 * units * fan_in
            weights.append(tensor)
            output = "logits" if layer == hidden + 1 else f"z{layer}"
            nodes.append(helper.make_node("Gemm", [name, tensor.name], [output], transB=1))
            if output != "logits":
                name = f"a{layer}"
                nodes.append(helper.make_node("Relu", [output], [name]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", INPUTS])
    y = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
    graph = helper.make_graph(nodes, "large", [x], [y], weights)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "net.onnx")
    return offset


def watched(arguments: list[str], threads: int) -> tuple[float, dict[str, int]]:
    """Seconds that a command takes, and the largest bytes of each kind of resident memory, seen every 10 ms."""
    peaks = {"RssAnon": 0, "RssFile": 0, "VmRSS": 0}
    started = time.perf_counter()
    command = [sys.executable, "-m", "onnxbound", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(threads), stdout=subprocess.DEVNULL)
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in peaks:
                peaks[name] = max(peaks[name], 1024 * int(value.split()[0]))
        time.sleep(0.01)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, peaks


def run(threads: int, width: int, hidden: int) -> Result:
    """The benchmark."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_net(folder, width, hidden)
        x = np.random.default_rng(1).random((ROWS, INPUTS), np.float32)
        np.savez(folder / "rows.npz", x=x, y=np.arange(ROWS) % CLASSES)
        net = str(folder / "net.onnx")
        seconds, inspected = watched(["inspect", net], threads)
        arguments = ["analyze", net, "--data", str(folder / "rows.npz"), "--measured", "10", "--json", "-q"]
        longer, analysed = watched(arguments, threads)
    rows = (
        Row("weights, GB", size / 1e9),
        Row("inspect, seconds", seconds, "< 1"),
        Row("inspect, resident, MB", inspected["VmRSS"] / 1e6, "< 200"),
        Row("analyze, anonymous memory / weights", analysed["RssAnon"] / size, "< 0.5"),
        Row("analyze, file-backed memory / weights", analysed["RssFile"] / size),
        Row("analyze, seconds", longer),
    )
    return Result("A net of more than 2 GB", f"{hidden} layers {width} x {width} in external data.", rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=cores(), help="threads of the commands")
    parser.add_argument("--width", type=int, default=10_000, help="units of a layer")
    parser.add_argument("--hidden", type=int, default=6, help="square layers")
    options = parser.parse_args()
    print_result(run(options.threads, options.width, options.hidden))


if __name__ == "__main__":
    main()
