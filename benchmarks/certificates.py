"""Certificates on the full sets: bits, errors, bounds and seconds, written to `certificates.md` beside this file.

    python -m benchmarks.certificates [--models DIR] [NAME ...]

Each net is certified and verified by the command line, in a process of its own, at the default effort. The full sets
are found through ONNXBOUND_TEST_DATA, as `fixtures.excerpts` says; `--models` is a folder with
`gh_wonnx_opt_mnist.onnx`, a net that others have trained.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.worker import TUNING, environment
from fixtures import excerpts
from onnxbound.certificates.decisions import Evaluation, errors
from onnxbound.codec.network_code import NetworkCode, decode, encode
from onnxbound.codec.tensors import Levels, LowRank
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.load import load
from onnxbound.run.device import CPU

ROOT = Path(__file__).parents[1]
MNIST = ("--scale", "1/255"), Preprocessing(1 / 255)
CIFAR = (
    ("--layout", "nhwc", "--scale", "1/255", "--mean", "0.4914,0.4822,0.4465", "--std", "0.2471,0.2435,0.2616"),
    Preprocessing(1 / 255, (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616), "nhwc"),
)
PUBLISHED = {
    "mnist_small": "11.6 (Lotfi et al. 2022)",
    "mnist_lenet5": "46 (Zhou et al. 2019)",
    "cifar10_narrow": "58.2 (Lotfi et al. 2022)",
}
"""Best published at 95 %, with a prior independent of the data; all of them retrain."""

BEGIN, END = "<!-- certificates: begin -->", "<!-- certificates: end -->"


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
    preprocessing: Preprocessing
    goal: float
    limit: int


def cases(models: Path | None) -> list[Case]:
    own = ROOT / "fixtures" / "certified"
    found = [
        Case("mnist_small", own / "mnist_small.onnx", "mnist", *MNIST, 10.5, 300),
        Case("mnist_lenet5", own / "mnist_lenet5.onnx", "mnist", *MNIST, 43, 300),
        Case("cifar10_narrow", own / "cifar10_narrow.onnx", "cifar10", *CIFAR, 58, 0),
    ]
    if models is not None:
        path = models / "gh_wonnx_opt_mnist.onnx"
        found.insert(1, Case("gh_wonnx_opt_mnist", path, "mnist", *MNIST, 13, 300))
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


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certificate came to; fields are the columns of the table."""

    net: str
    parameters: int
    train_error: float
    bits: int
    decoded_error: float
    bound: float
    goal: float
    published: str
    entropy_bits: int
    constriction_bits: int
    seconds: float
    verify_seconds: float
    met: bool


def measure(case: Case, folder: Path) -> Certified:
    """Certify and verify one net."""
    data = excerpts.full_set(case.dataset)
    made, seconds = timed("certify", case.model, "--data", data, *case.options, "-o", folder)
    _, verifying = timed("verify", folder, "--data", data)
    entropy, constriction = lengths(folder)
    original = load(case.model)
    rows = open_rows(data, original, case.preprocessing)
    bound = 100 * made["bound"]
    print(f"{case.name}: {made['bits']} bits, {made['errors']} errors, {bound:.2f} %, {seconds:.0f} s", flush=True)
    return Certified(
        net=case.name,
        parameters=original.parameters,
        train_error=errors(Evaluation(CPU, None)(original, rows), rows.labels) / rows.count,
        bits=made["bits"],
        decoded_error=made["errors"] / made["rows"],
        bound=bound,
        goal=case.goal,
        published=PUBLISHED.get(case.name, "–"),
        entropy_bits=entropy,
        constriction_bits=constriction,
        seconds=seconds,
        verify_seconds=verifying,
        met=bound <= case.goal and (not case.limit or seconds <= case.limit) and verifying <= 60,
    )


def _on_lattices(code: NetworkCode) -> Iterator[Levels]:
    for part in code.parts:
        if isinstance(part, LowRank):
            yield from (part.left, part.right)
        else:
            assert isinstance(part, Levels)
            yield part


def lengths(folder: Path) -> tuple[int, int]:
    """Bits of the same levels by their entropy per tensor, tables free, and by constriction with tables of 16 bits."""
    import constriction  # type: ignore[import-untyped]

    code = decode((folder / "code.bin").read_bytes())
    entropy, coded = 0.0, 0
    for part in _on_lattices(code):
        values, index, counts = np.unique(part.levels, return_inverse=True, return_counts=True)
        share = counts / counts.sum()
        entropy -= float((counts * np.log2(share)).sum())
        coded += 16 + 16 * len(values)
        if len(values) > 1:
            coder = constriction.stream.queue.RangeEncoder()
            model = constriction.stream.model.Categorical(share, perfect=False)
            coder.encode(index.ravel().astype(np.int32), model)
            coded += coder.num_bits()
    assert encode(code) == (folder / "code.bin").read_bytes()
    return round(entropy), coded


def upward(percent: float) -> str:
    """Two digits, never less than the bound."""
    return f"{math.ceil(100 * percent) / 100:.2f}"


def table(rows: list[Certified]) -> list[str]:
    """Everything, as Markdown."""
    head = "net | parameters | training error | bits | error decoded | bound % | goal % | published %"
    head += " | entropy | constriction | seconds | verify, s | met"
    lines = [f"| {head} |", "|" + "---|" * 13]
    for row in rows:
        values = f"{row.net} | {row.parameters:,} | {row.train_error:.2%} | {row.bits:,} | {row.decoded_error:.2%}"
        values += f" | **{upward(row.bound)}** | {row.goal} | {row.published} | {row.entropy_bits:,}"
        values += f" | {row.constriction_bits:,} | {row.seconds:.0f} | {row.verify_seconds:.1f}"
        lines.append(f"| {values} | {'yes' if row.met else '**no**'} |")
    return lines


def update_readme(rows: list[Certified]) -> None:
    """Replace the table of the README."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    head = "net | parameters | bits | training error, decoded | bound | best published | seconds"
    lines = [f"| {head} |", "|" + "---|" * 7]
    lines += [
        f"| `{row.net}` | {row.parameters:,} | {row.bits:,} | {row.train_error:.2%}, {row.decoded_error:.2%}"
        f" | {upward(row.bound)} % | {row.published} | {row.seconds:.0f} |"
        for row in rows
    ]
    readme.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--models", type=Path)
    arguments = parser.parse_args()
    chosen = [case for case in cases(arguments.models) if not arguments.names or case.name in arguments.names]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(case, Path(folder) / case.name) for case in chosen]
    text = (
        "Full training sets, delta 0.05, the architecture charged, default effort, two threads, the files' real sizes."
        " *Published* is the best at 95 % with a prior independent of the data; all of those retrain. *Entropy* is that"
        " of each tensor's levels, their tables free; *constriction* is the range coder of that library with its tables"
        " at 16 bits a number:"
        f" what the bits are to be held against. {os.cpu_count()} cores; {' and '.join(TUNING)} unset."
    )
    lines = ["# Certificates", "", *textwrap.wrap(text, 120), "", *table(rows), ""]
    if not arguments.names:
        (Path(__file__).parent / "certificates.md").write_text("\n".join(lines))
        update_readme(rows)


if __name__ == "__main__":
    main()
