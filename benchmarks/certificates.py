"""The league of certificates: bits, errors, bounds and seconds, written to `certificates.md` beside this file.

    python -m benchmarks.certificates [--models FOLDER ...] [NAME ...]

Each net is certified and verified by the command line, in a process of its own, at the default effort. The full sets
are found through ONNXBOUND_TEST_DATA, as `fixtures.excerpts` says. A folder of `--models` has a `manifest.json` that
lists its nets under `models`: of each its `file`, `dataset`, `normalisation` and the shape of its first input.
"""

import argparse
import json
import math
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.worker import environment
from fixtures import excerpts
from onnxbound.graph.load import load
from onnxbound.words import percent

ROOT = Path(__file__).parents[1]
MNIST = ("--scale", "1/255")
CIFAR = (*MNIST, "--layout", "nhwc", "--mean", "0.4914,0.4822,0.4465", "--std", "0.2471,0.2435,0.2616")
HEAD = "net | data | parameters | training error | bits | decoded error | bound % | certify, s | of a processor, s"
HEAD += " | verify, s"
BEGIN, END = "<!-- certificates: begin -->", "<!-- certificates: end -->"


@dataclass(frozen=True, slots=True)
class Case:
    """A net, its data set and its options."""

    name: str
    model: Path
    dataset: str
    options: tuple[str, ...]


def own() -> Iterator[Case]:
    """The fixtures."""
    folder = ROOT / "fixtures" / "certified"
    for name, dataset in (
        ("mnist_small", "mnist"),
        ("mnist_lenet5", "mnist"),
        ("fashion_small", "fashion_mnist"),
        ("cifar10_narrow", "cifar10"),
    ):
        yield Case(name, folder / f"{name}.onnx", dataset, CIFAR if dataset == "cifar10" else MNIST)


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


def timed(*arguments: str | Path) -> tuple[dict[str, Any], float, float]:
    """The JSON of a command, the seconds that passed and those of a processor."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "onnxbound", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment(2), capture_output=True, text=True, check=False)
    document: dict[str, Any] = json.loads(done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return document, time.perf_counter() - started, used


def measure(case: Case, folder: Path) -> str:
    """Certify and verify one net: a line of the table."""
    data = excerpts.full_set(case.dataset)
    network = load(case.model)
    made, seconds, used = timed("certify", case.model, "--data", data, *case.options, "-o", folder)
    start = f"| {case.name} | {case.dataset} | {network.parameters:,} |"
    if "code" in made and "bound" not in made:
        return f"{start} – | – | – | {made['code']}: {made['message']} | {seconds:.0f} | {used:.0f} | – |"
    found, verifying, _ = timed("verify", folder, "--data", data)
    assert found["bound"] == made["bound"], found
    bound = f"**{upward(100 * made['bound'])}**" + (", vacuous" if made["vacuous"] else "")
    line = (
        f"{start} {original_error(case, data)} | {made['bits']:,} | {percent(made['errors'] / made['rows'])} | {bound}"
    )
    return f"{line} | {seconds:.0f} | {used:.0f} | {verifying:.0f} |"


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


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    cases = [*own(), *(case for folder in arguments.models for case in of_manifest(folder))]
    lines = [f"| {HEAD} |", "|" + "---|" * (HEAD.count("|") + 1)]
    print(*lines, sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            if not arguments.names or case.name in arguments.names:
                lines.append(measure(case, Path(folder) / case.name))
                print(lines[-1], flush=True)
    if not arguments.names:
        page = Path(__file__).parent / "certificates.md"
        before, rest = page.read_text().split(BEGIN)
        page.write_text("\n".join([before + BEGIN, *lines, END + rest.split(END)[1]]))


if __name__ == "__main__":
    main()
