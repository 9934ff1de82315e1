"""The league of certificates: bits, errors, bounds and seconds, written to `certificates.md` beside this file.

    python -m benchmarks.certificates [--models FOLDER ...] [NAME ...]

Each net is certified and verified by the command line, in a process of its own, at the default effort; its line in
`certificates.md` replaces the one before. The full sets are found through ONNXBOUND_TEST_DATA, as `fixtures.excerpts`
says. A folder of `--models` has a `manifest.json` that lists its nets under `models`: of each its `file`, `dataset`,
`normalisation` and the shape of its first input.
"""

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.worker import environment
from fixtures import excerpts
from onnxbound.graph.load import load
from onnxbound.words import percent

ROOT = Path(__file__).parents[1]
CERTIFIED = ROOT / "fixtures" / "certified"
MNIST = ("--scale", "1/255")
CIFAR = (*MNIST, "--layout", "nhwc", "--mean", "0.4914,0.4822,0.4465", "--std", "0.2471,0.2435,0.2616")
HEAD = "net | data | parameters | training error | bits | decoded error | bound % | first, s | certify, s"
HEAD += " | of a processor, s | MiB | verify, s"
LABELS = "--targets labels"


@dataclass(frozen=True, slots=True)
class Case:
    """A net, its data set and its options."""

    name: str
    model: Path
    dataset: str
    options: tuple[str, ...]


Rivals = Callable[[list[Case]], list[Case]]
"""From the fixtures and the nets of the folders to those that are measured."""

Measure = Callable[[Case, Path], str]
"""From a net and a folder for its certificate to a line."""


def own() -> Iterator[Case]:
    """The fixtures, two of them trained towards the labels too."""
    for name, dataset in (
        ("mnist_small", "mnist"),
        ("mnist_lenet5", "mnist"),
        ("fashion_small", "fashion_mnist"),
        ("cifar10_narrow", "cifar10"),
    ):
        options = CIFAR if dataset == "cifar10" else MNIST
        yield Case(name, CERTIFIED / f"{name}.onnx", dataset, options)
        if name in ("mnist_small", "cifar10_narrow"):
            yield Case(f"{name} {LABELS}", CERTIFIED / f"{name}.onnx", dataset, (*options, *LABELS.split()))


def of_manifest(folder: Path) -> Iterator[Case]:
    """The nets of a folder."""
    for entry in json.loads((folder / "manifest.json").read_text())["models"]:
        shape = entry["inputs"][0]["shape"]
        options = list(preprocessing(entry["normalisation"]))
        if entry["dataset"] == "cifar10" and shape[-1] != 3:
            options += ["--layout", "nhwc"]
        if 784 in shape:
            options += ["--layout", "flat"]
        yield Case(Path(entry["file"]).stem, folder / entry["file"], entry["dataset"], tuple(options))


def preprocessing(normalisation: str) -> tuple[str, ...]:
    """Options of `x/255` and of `(x/255-MEAN)/STD`.

    >>> preprocessing("(x/255-[.5,.25])/[.2,.1]")
    ('--scale', '1/255', '--mean', '.5,.25', '--std', '.2,.1')
    """
    found = re.fullmatch(r"\(x/255-(.+)\)/(.+)", normalisation)
    if found is None:
        assert normalisation == "x/255", normalisation
        return MNIST
    mean, std = (part.strip("[]") for part in found.groups())
    return (*MNIST, "--mean", mean, "--std", std)


@dataclass(frozen=True, slots=True)
class Run:
    """A command that ran: its JSON, the seconds until it said that it had a code, all of them, and its resources."""

    document: dict[str, Any]
    first: float
    seconds: float
    used: resource.struct_rusage


def run(*arguments: str | Path) -> Run:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "onnxbound", *map(str, arguments), "--json"]
    started, first = time.perf_counter(), math.nan
    with tempfile.TemporaryFile("w+") as answer:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment(2), stdout=answer, stderr=subprocess.PIPE, text=True
        )
        assert child.stderr is not None
        for line in child.stderr:
            if math.isnan(first) and " bits, " in line:
                first = time.perf_counter() - started
        used = os.wait4(child.pid, 0)[2]
        seconds = time.perf_counter() - started
        answer.seek(0)
        return Run(json.load(answer), first, seconds, used)


def measure(case: Case, folder: Path) -> str:
    """Certify and verify one net: a line of the table."""
    data = excerpts.full_set(case.dataset)
    network = load(case.model)
    done = run("certify", case.model, "--data", data, *case.options, "-o", folder)
    made, used = done.document, done.used
    resources = f"{done.seconds:.0f} | {used.ru_utime + used.ru_stime:.0f} | {used.ru_maxrss / 1024:,.0f}"
    start = f"| {case.name} | {case.dataset} | {network.parameters:,} |"
    if "code" in made and "bound" not in made:
        return f"{start} – | – | – | {made['code']}: {made['message']} | – | {resources} | – |"
    verified = run("verify", folder, "--data", data)
    assert verified.document["bound"] == made["bound"], verified.document
    bound = f"**{upward(100 * made['bound'])}**" + (", vacuous" if made["vacuous"] else "")
    errors = f"{original_error(case, data)} | {made['bits']:,} | {percent(made['errors'] / made['rows'])}"
    return f"{start} {errors} | {bound} | {done.first:.0f} | {resources} | {verified.seconds:.0f} |"


def original_error(case: Case, data: Path) -> str:
    """On the training set, as `inspect` reads it."""
    from onnxbound.certificates.decisions import Evaluation, errors
    from onnxbound.data.open import open_rows
    from onnxbound.data.preprocessing import Preprocessing
    from onnxbound.run.device import CPU

    asked = dict(zip(case.options[::2], case.options[1::2], strict=True))
    numbers = {
        name: tuple(float(part) for part in asked[f"--{name}"].split(","))
        for name in ("mean", "std")
        if f"--{name}" in asked
    }
    layout: Any = asked.get("--layout")
    network = load(case.model)
    rows = open_rows(data, network, Preprocessing(1 / 255, layout=layout, **numbers))
    return percent(errors(Evaluation(CPU, None)(network, rows), rows.labels) / rows.count)


def upward(percent: float) -> str:
    """Two digits, never less than the bound."""
    return f"{math.ceil(100 * percent) / 100:.2f}"


def league(table: str, head: str, said: str | None, rivals: Rivals, measure: Measure) -> None:
    """Measure the nets that the command line asks for, print their lines, and put them into a table of the page."""
    parser = argparse.ArgumentParser(description=said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    cases = rivals([*own(), *(case for folder in arguments.models for case in of_manifest(folder))])
    print(f"| {head} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            if not arguments.names or case.name in arguments.names:
                line = measure(case, Path(folder) / case.name)
                print(line, flush=True)
                write(table, head, line, [each.name for each in cases])


def write(table: str, head: str, line: str, order: list[str]) -> None:
    """Put a line into a table of the page, in the order of the cases; lines of other nets stay, at the end."""
    page, (begin, end) = (
        Path(__file__).parent / "certificates.md",
        (f"<!-- {table}: {at} -->" for at in ("begin", "end")),
    )
    before, rest = page.read_text().split(begin)
    old, after = rest.split(end)
    lines = {name_of(each): each for each in [*old.strip().split("\n")[2:], line]}
    names = [*(name for name in order if name in lines), *(name for name in lines if name not in order)]
    start = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    page.write_text("\n".join([before + begin, *start, *(lines[name] for name in names), end + after]))


def name_of(line: str) -> str:
    """The first cell.

    >>> name_of("| lenet | mnist |")
    'lenet'
    """
    return line.split(" | ")[0].removeprefix("| ")


if __name__ == "__main__":
    league("certificates", HEAD, __doc__, lambda cases: cases, measure)
