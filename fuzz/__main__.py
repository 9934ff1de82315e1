"""Read many mutated files in child processes, and say how each ended: `python -m fuzz --inputs 100000`.

A run passes if every input ended in a result or in an error with a code, within `SECONDS` and `BYTES`, and no child was
killed. What it found is written to `fuzz/results.md`; an input is made again by its number.
"""

import argparse
import json
import platform
import select
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

SECONDS = 20.0
"""Processor time that one input may take."""

BYTES = 1 << 30
"""Resident memory that a child may take at most, interpreter and libraries included."""

PATIENCE = 300.0
"""Seconds without a word after which a child is stopped; a machine may be busy with other things."""

PER_CHILD = 2_500
RESULTS = Path(__file__).parent / "results.md"


@dataclass(slots=True)
class Tally:
    """What a run has seen."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    peak_bytes: int = 0

    def add(self, line: dict[str, object]) -> None:
        """Count how an input ended, and note what should not be."""
        number, seconds = int(str(line["number"])), float(str(line["seconds"]))
        self.ends[str(line["kind"]), str(line["end"])] += 1
        self.slowest = max(self.slowest, (seconds, number))
        peak = int(str(line["peak_kib"])) << 10
        if peak > max(BYTES, self.peak_bytes):
            self.findings.append(f"{number} ({line['seed']}): {peak / 2**30:.2f} GiB")
        self.peak_bytes = max(self.peak_bytes, peak)
        if line["fault"]:
            self.findings.append(f"{number} ({line['seed']}): {line['end']}: {str(line['fault']).splitlines()[-1]}")
        if seconds > SECONDS:
            self.findings.append(f"{number} ({line['seed']}): {line['end']} after {seconds:.0f} s")


def run_child(seed: int, first: int, stop: int, models: float, tally: Tally) -> int:
    """Read inputs until the child is done or dies; the number of the next input."""
    with tempfile.TemporaryDirectory(prefix="onnxbound-fuzz-") as folder, tempfile.TemporaryFile() as errors:
        words = [sys.executable, "-W", "error", "-X", "faulthandler", "-m", "fuzz.child"]
        words += [str(seed), str(first), str(stop), folder, str(models)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors)
        assert child.stdout is not None
        current, name = first, ""
        while select.select([child.stdout], [], [], PATIENCE)[0]:
            line = child.stdout.readline()
            if not line:
                break
            document = json.loads(line)
            if "start" in document:
                current, name = document["start"], document["seed"]
            else:
                tally.add(document)
                current = document["number"] + 1
        else:
            child.send_signal(signal.SIGABRT)  # the fault handler says where it was
        code = child.wait()
        if code:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            where = next((text.strip() for text in said if text.strip().startswith("File")), said[-1] if said else "")
            tally.ends["any", "child killed"] += 1
            tally.findings.append(f"{current} ({name}): the child ended with {code}: {where}")
            return current + 1
        return stop


def report(arguments: argparse.Namespace, tally: Tally) -> str:
    """The run as Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("onnx", "numpy", "protobuf"))
    lines = [
        "# Mutated files",
        "",
        f"`python -m fuzz --seed {arguments.seed} --models {arguments.models}`,",
        f"inputs {arguments.first} to {arguments.inputs - 1},",
        f"on Python {platform.python_version()}, {versions}:",
        f"{tally.ends.total():,} inputs; at most {tally.slowest[0]:.1f} s of processor time for one,",
        f"input {tally.slowest[1]}, and {tally.peak_bytes / 2**20:,.0f} MiB of memory.",
        "",
        "| kind | ended in | inputs |",
        "|---|---|---|",
    ]
    lines += [f"| {kind} | {end} | {count:,} |" for (kind, end), count in sorted(tally.ends.items())]
    lines += ["", "Findings:" if tally.findings else "Findings: none.", ""]
    lines += [f"* {finding}" for finding in tally.findings]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--models", type=float, default=0.7, help="share of models among the inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    tally, number = Tally(), arguments.first
    while number < arguments.inputs:
        number = run_child(arguments.seed, number, min(number + PER_CHILD, arguments.inputs), arguments.models, tally)
        arguments.results.write_text(report(arguments, tally))
        print(f"{number:,} of {arguments.inputs:,}, {len(tally.findings)} findings", flush=True)
    print(report(arguments, tally))
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
