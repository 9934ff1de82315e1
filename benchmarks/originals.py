"""Statements about nets as they are, and with a prior from half of the rows, beside hold-out: `certificates.md`.

    python -m benchmarks.originals [--models FOLDER ...] [NAME ...]

Each net is certified and verified by the command line at the default effort: by its training set and the test images
as unlabelled rows, which neither the net nor the search has seen; and, where a net began as one that saw only the
first half of the rows, with that one as the prior. Hold-out uses the same test rows with their labels.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.certificates import CERTIFIED, CIFAR, MNIST, Case, Run, league, run, upward
from fixtures import excerpts
from onnxbound.words import percent

HEAD = "net | data | object | bits | decoded error | disagreement | bound % | hold-out bound % | certify, s"
UNLABELLED = ("mnist_small", "mnist_lenet5", "gh_wonnx_opt_mnist", "cifar10_narrow", "vnn21_marabou_cifar10_large")
PRIORS = {"mnist_small_continued": 30_000, "cifar10_narrow_continued": 25_000}


def through_unlabelled(case: Case, folder: Path) -> str:
    """A line about the original net, through the rows of the test set."""
    data = excerpts.full_set(case.dataset)
    given: tuple[str | Path, ...] = ("--data", data, "--unlabelled", data, *case.options)
    done = run("certify", case.model, *given, "-o", folder)
    return line(case, "original", done, run("verify", folder, *given, "--model", case.model))


def from_prior(case: Case, folder: Path) -> str:
    """A line about the decoded net, from a prior that saw the first half of the rows."""
    data = excerpts.full_set(case.dataset)
    given: tuple[str | Path, ...] = ("--data", data, "--prior", case.model.with_stem(f"{case.model.stem}_half"))
    given += ("--prior-rows", str(PRIORS[case.name]))
    done = run("certify", case.model, *given, *case.options, "-o", folder)
    return line(case, f"decoded, prior from {PRIORS[case.name]:,} rows", done, run("verify", folder, *given))


def line(case: Case, about: str, done: Run, verified: Run) -> str:
    """A line of the table."""
    made = done.document
    assert verified.document["bound"] == made["bound"], verified.document
    apart = made["disagreements"]
    differ = percent(apart["count"] / apart["rows"]) if apart else "–"
    with tempfile.TemporaryDirectory() as folder:
        data = excerpts.full_set(case.dataset)
        rival = run("certify", case.model, "--holdout", data, *case.options, "-o", Path(folder) / "holdout").document
    found = f"{made['bits']:,} | {percent(made['errors'] / made['rows'])} | {differ}"
    bounds = f"**{upward(100 * made['bound'])}** | {upward(100 * rival['bound'])}"
    return f"| {case.name} | {case.dataset} | {about} | {found} | {bounds} | {done.seconds:.0f} |"


def rivals(cases: list[Case]) -> list[Case]:
    """The originals among them, and the nets with a prior."""
    return [*(case for case in cases if case.name in UNLABELLED), *continued()]


def measure(case: Case, folder: Path) -> str:
    """The line of a net, by what it has."""
    return (from_prior if case.name in PRIORS else through_unlabelled)(case, folder)


def continued() -> Iterator[Case]:
    """Nets that went on from one that saw the first half of the rows, at a lower rate."""
    for name in PRIORS:
        dataset = name.split("_")[0]
        yield Case(name, CERTIFIED / f"{name}.onnx", dataset, CIFAR if dataset == "cifar10" else MNIST)


if __name__ == "__main__":
    league("originals", HEAD, __doc__, rivals, measure)
