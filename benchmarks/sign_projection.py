"""Products with the helper string's signs: rate, memory, against a plain loop and the rate of matrix products.

python -m benchmarks.sign_projection --repeats 3
"""

import argparse
import json
import subprocess
import sys

import numpy as np

from benchmarks.result import Result, Row, print_result
from benchmarks.worker import ROOT, environment, seconds
from onnxbound.linear.threads import cores

SHAPE = (512, 4608)
PROJECTIONS = 20_000
LOOP_PROJECTIONS = 40


def plain_loop(entries: np.ndarray, count: int) -> np.ndarray:
    """One projection at a time: signs from NumPy's generator, one dot product."""
    random = np.random.Generator(np.random.Philox(0))
    found = np.empty(count)
    for number in range(count):
        found[number] = (random.integers(0, 2, entries.size, np.int8) * np.float32(2) - np.float32(1)) @ entries
    return found


def measure(threads: int) -> dict[str, float]:
    """Rates in 10^9 multiply-adds per second, and the peak of memory, in this process."""
    from onnxbound.compressors.sign_projection import combine, project
    from onnxbound.run.environment import peak_rss_bytes

    size = SHAPE[0] * SHAPE[1]
    entries = np.random.default_rng(0).integers(-(2**29), 2**29, size).astype(np.float64)
    coefficients = np.random.default_rng(1).integers(-1000, 1000, PROJECTIONS).astype(np.float64)
    work = size * PROJECTIONS
    taken = {
        "project": work / seconds(lambda: project(entries, PROJECTIONS, seed=0, layer=1, threads=threads)),
        "combine": work / seconds(lambda: combine(coefficients, size, seed=0, layer=1, threads=threads)),
    }
    peak = peak_rss_bytes()
    assert peak is not None
    single = entries.astype(np.float32)
    taken["loop"] = size * LOOP_PROJECTIONS / seconds(lambda: plain_loop(single, LOOP_PROJECTIONS))
    a, b = np.ones((1024, 1024), np.float32), np.ones((1024, 1024), np.float32)
    a @ b
    taken["product"] = 8 * 1024**3 / seconds(lambda: [a @ b for _ in range(8)])
    return {name: rate / 1e9 for name, rate in taken.items()} | {"peak": peak / 1e9}


def run(repeats: int, threads: int) -> Result:
    """The benchmark, every round in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sign_projection", "--worker", "--threads", str(threads)]
    rounds = []
    for _ in range(repeats):
        done = subprocess.run(command, cwd=ROOT, env=environment(threads), check=True, capture_output=True, text=True)
        rounds.append(json.loads(done.stdout))

    def middle(of: str, over: str | None = None) -> float:
        return float(np.median([found[of] / (found[over] if over else 1.0) for found in rounds]))

    rows = (
        Row("512 x 4608, k = 20,000: <A, M_l>, 10^9 multiply-adds per second", middle("project"), "> 2"),
        Row("512 x 4608, k = 20,000: sum z_l M_l, 10^9 multiply-adds per second", middle("combine"), "> 2"),
        Row("<A, M_l> / a plain NumPy loop, rate", middle("project", "loop")),
        Row("<A, M_l> / a product of matrices in float32, rate", middle("project", "product")),
        Row("512 x 4608, k = 20,000: peak memory, GB", max(found["peak"] for found in rounds), "< 1"),
    )
    text = (
        "A is a matrix of weights. The k matrices M_l hold the random signs of the helper string, which the method"
        f" Matrix-Project multiplies A by. The z_l are k numbers. Rates are medians over {repeats} rounds, with"
        f" {threads} threads. The memory is the maximum over these rounds."
    )
    return Result("Signs of the helper string", text, rows)


def main() -> None:
    """Print the table, or the numbers of one round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--threads", type=int, default=cores(), help="threads")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(options.threads)))
    else:
        print_result(run(options.repeats, options.threads))


if __name__ == "__main__":
    main()
