"""`onnxbound certify`, and the options that it shares with `verify`."""

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import OptionalRowOptions
from onnxbound.cli.options import REQUIRED, option
from onnxbound.cli.output_options import ModelOutputOptions

_HOLDOUT = "Labelled rows that the net has not seen; without --data, the bound comes from them alone."
_EFFORT = "How long to search. Effort 1 takes about a fifth of the time of 5, but gives a worse bound."
_TARGETS = "What the search fits: the net's own outputs, or the labels (this trains the net)."
_SYMMETRY = "mirror: average the logits of each image and its mirror image; auto: only if this helps."


@dataclass(frozen=True, kw_only=True)
class EvidenceOptions:
    """The rows and nets of a certificate beside the training set, and its delta."""

    unlabelled: Path | None = option("FILE", "Fresh rows without labels; with them, the bound is for the original net.")
    unlabelled_known: bool = option(None, "The unlabelled rows were already public; code bits then count twice.", False)
    holdout: Path | None = option("FILE", _HOLDOUT)
    prior: Path | None = option("MODEL", "A net of the same architecture; the code holds only the difference from it.")
    prior_rows: int | None = option("N", "The prior saw at most the first N rows of --data; only later ones count.")
    repeated_rows: bool = option(None, "Allow duplicate rows.", False)
    delta: str = option("D", "Largest probability that the statement is false.", "0.05")
    device: options.Device = "auto"
    threads: options.Threads = None


@dataclass(frozen=True, kw_only=True)
class FolderOptions(ModelOutputOptions):
    """The same where -o is a folder."""

    output: Path = option("DIR", "Folder for the certificate; it may hold no other files.", REQUIRED, "--output", "-o")


@grouped
def certify(
    model: options.ModelArgument,
    rows: OptionalRowOptions,
    result: FolderOptions,
    evidence: EvidenceOptions,
    *,
    effort: int = option("1..9", _EFFORT, 5),
    surrogate: Path | None = option("MODEL", "With --unlabelled, encode this smaller net instead of MODEL."),
    targets: str = option("outputs|labels", _TARGETS, "outputs"),
    symmetry: str = option("auto|none|mirror", _SYMMETRY, "auto"),
) -> None:
    """Encode a net in few bits, and prove an error bound that anyone can verify."""
    from onnxbound.certificates.evidence import ByFile
    from onnxbound.certificates.request import CertificateOptions, probability
    from onnxbound.verbs.certify import certify as searched

    rows = replace(rows, labels_start=rows.said().labels_start or 0)  # names of classes are no evidence
    known = {name: getattr(evidence, name) for name in ("threads", "unlabelled_known", "repeated_rows")}
    known |= {
        "targets": targets,
        "symmetry": symmetry,
        "seed": rows.seed,
        "force": result.force,
        "labels_start": rows.labels_start or 0,
    }
    settings = CertificateOptions(probability(evidence.delta), effort, **known)
    network = rows.network(model, rows.data or evidence.holdout, by_file=True)
    reader = ByFile.of(network)

    def others(path: Path | None, *, labelled: bool = True) -> Any:
        return None if path is None else rows.test_rows(reader, path, labelled=labelled)

    with result.progress() as progress:
        certified = searched(
            network,
            None if rows.data is None else rows.rows(network, reader=reader),
            result.output,
            settings,
            device=evidence.device,
            unlabelled=others(evidence.unlabelled, labelled=False),
            holdout=others(evidence.holdout),
            prior=evidence.prior,
            prior_rows=evidence.prior_rows,
            surrogate=surrogate,
            improved=lambda code: result.say([_improved(code, trial=rows.limit is not None)]),
            fixed=lambda net, code: result.say([f"before the unlabelled rows are looked at: model {net}, code {code}"]),
            progress=progress,
        )
    result.say(["interrupted; the best so far was written"] if certified.interrupted else [])
    result.show(certified)


def _improved(code: Any, *, trial: bool) -> str:
    return (
        f"round {code.round}: {8 * len(code.data):,} bits, about {code.errors:,} errors,"
        f" bound {ceil(10_000 * code.bound) / 100:.2f} %" + trial * "; a trial, of which nothing is written"
    )
