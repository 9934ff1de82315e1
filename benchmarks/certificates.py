"""Certificates on the full sets: bits, errors, bounds and seconds, written to `certificates.md` beside this file.

    python -m benchmarks.certificates [--models DIR] [NAME ...]

Each net is certified and verified by the command line, in a process of its own, at the default effort. The full sets
are found through ONNXBOUND_TEST_DATA, as `fixtures.excerpts` says; `--models` is a folder with
`gh_wonnx_opt_mnist.onnx`, a net that others have trained.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.worker import TUNING, environment
from fixtures import excerpts
from onnxbound.codec.network_code import Levels, NetworkCode, decode, encode
from onnxbound.codec.skeleton import read_skeleton

ROOT = Path(__file__).parents[1]
CIFAR = ("--layout", "nhwc", "--scale", "1/255", "--mean", "0.4914,0.4822,0.4465", "--std", "0.2471,0.2435,0.2616")
PUBLISHED = {
    "mnist_small": "11.6 (Lotfi et al. 2022)",
    "mnist_lenet5": "46 (Zhou et al. 2019)",
    "cifar10_narrow": "58.2 (Lotfi et al. 2022)",
}
"""Best published at 95 %, with a prior independent of the data; all of them retrain."""

COLUMNS = (
    "net", "parameters", "training error", "bits", "error decoded", "bound %", "goal %", "met", "published %",
    "entropy", "constriction", "seconds", "verify, s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A net and its options.

    Attributes:
        goal: Percent that the bound must not exceed.
        limit: Seconds that the search must not exceed; 0 for none.
    """

    name: str
    model: Path
    dataset: str
    options: tuple[str, ...]
    goal: float
    limit: int


def cases(models: Path | None) -> list[Case]:
    own = ROOT / "fixtures" / "certified"
    found = [
        Case("mnist_small", own / "mnist_small.onnx", "mnist", ("--scale", "1/255"), 10.5, 300),
        Case("mnist_lenet5", own / "mnist_lenet5.onnx", "mnist", ("--scale", "1/255"), 43, 300),
        Case("cifar10_narrow", own / "cifar10_narrow.onnx", "cifar10", CIFAR, 58, 0),
    ]
    if models is not None:
        path = models / "gh_wonnx_opt_mnist.onnx"
        found.insert(1, Case("gh_wonnx_opt_mnist", path, "mnist", ("--scale", "1/255"), 13, 300))
    return found


def timed(*arguments: str | Path) -> tuple[dict[str, Any], float]:
    """The JSON of a command, and its seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "onnxbound", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment(2), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document, time.perf_counter() - started


def measure(case: Case, folder: Path) -> str:
    """A row of the table."""
    data = excerpts.full_set(case.dataset)
    made, seconds = timed("certify", case.model, "--data", data, *case.options, "-o", folder)
    _, verifying = timed("verify", folder, "--data", data)
    bound = 100 * made["bound"]
    met = bound <= case.goal and (not case.limit or seconds <= case.limit) and verifying <= 60
    static, constriction = lengths(folder)
    print(f"{case.name}: {made['bits']} bits, {made['errors']} errors, {bound:.2f} %, {seconds:.0f} s", flush=True)
    return (
        f"| {case.name} | {made['model']['parameters']:,} | {made['model']['train_error']:.2%} | {made['bits']:,}"
        f" | {made['errors'] / made['rows']:.2%} | **{bound:.2f}** | {case.goal} | {'yes' if met else '**no**'}"
        f" | {PUBLISHED.get(case.name, '–')} | {static:,} | {constriction:,} | {seconds:.0f} | {verifying:.1f} |"
    )


def lengths(folder: Path) -> tuple[int, int]:
    """Bits of the same levels by their entropy per tensor, tables free, and by constriction with tables of 16 bits."""
    import constriction  # type: ignore[import-untyped]

    skeleton = read_skeleton((folder / "skeleton.onnx").read_bytes())
    code = decode(skeleton, (folder / "code.bin").read_bytes())
    entropy, coded = 0.0, 0
    for part in code.parts:
        assert isinstance(part, Levels)
        values, index, counts = np.unique(part.levels, return_inverse=True, return_counts=True)
        share = counts / counts.sum()
        entropy -= float((counts * np.log2(share)).sum())
        coded += 16 + 16 * len(values)
        if len(values) > 1:
            coder = constriction.stream.queue.RangeEncoder()
            model = constriction.stream.model.Categorical(share, perfect=False)
            coder.encode(index.ravel().astype(np.int32), model)
            coded += coder.num_bits()
    assert encode(skeleton, NetworkCode(code.parts, code.numbers)) == (folder / "code.bin").read_bytes()
    return round(entropy), coded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--models", type=Path)
    arguments = parser.parse_args()
    chosen = [case for case in cases(arguments.models) if not arguments.names or case.name in arguments.names]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(case, Path(folder) / case.name) for case in chosen]
    lines = [
        "# Certificates",
        "",
        "Full training sets, delta 0.05, default effort, two threads, the files' real sizes. *Entropy* is that of each",
        "tensor's levels with the tables free, *constriction* that library's range coder with its tables paid for:",
        f"what the code is to be held against. {' and '.join(TUNING)} were unset.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    (Path(__file__).parent / "certificates.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
