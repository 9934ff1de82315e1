"""`onnxbound certify`."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import OptionalRowOptions
from onnxbound.cli.options import Format, chosen_format, set_threads

if TYPE_CHECKING:
    from onnxbound.certificates.request import Certified
    from onnxbound.certificates.task import Found

Folder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the files, and nothing else.")]
Unlabelled = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Fresh rows without labels: certify the original through them."),
]
UnlabelledKnown = Annotated[
    bool,
    typer.Option("--unlabelled-known", help="The unlabelled rows were public; the code's bits are paid twice."),
]
Holdout = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Labelled rows the net has not seen: a baseline; alone, without --data, all."),
]
Prior = Annotated[Path | None, typer.Option(metavar="MODEL", help="Code the difference from this net.")]
PriorRows = Annotated[int | None, typer.Option(metavar="N", help="It has seen the first N rows of --data, or fewer.")]
Effort = Annotated[int, typer.Option(metavar="1..9", help="How long to search.")]
Delta = Annotated[str, typer.Option(metavar="D", help="Probability with which the statement may be false.")]
RepeatedRows = Annotated[bool, typer.Option("--repeated-rows", help="Rows may be copies of each other.")]


@grouped
def certify(
    model: options.ModelArgument,
    output: Folder,
    rows: OptionalRowOptions,
    *,
    unlabelled: Unlabelled = None,
    unlabelled_known: UnlabelledKnown = False,
    holdout: Holdout = None,
    prior: Prior = None,
    prior_rows: PriorRows = None,
    repeated_rows: RepeatedRows = False,
    delta: Delta = "0.05",
    effort: Effort = 5,
    device: options.Device = "auto",
    threads: options.Threads = None,
    output_format: options.FormatOption = None,
    as_json: options.Json = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write a network in few bits, and the bound on its error that anyone can verify."""
    del debug
    set_threads(threads)
    rows = replace(rows, labels_start=rows.said().labels_start or 0)  # names of classes are no evidence
    from onnxbound.certificates.certify import Prior
    from onnxbound.certificates.certify import certify as make
    from onnxbound.certificates.evidence import ByFile
    from onnxbound.certificates.request import CertificateOptions
    from onnxbound.certificates.unseen_rows import certify_holdout
    from onnxbound.cli.output import emit
    from onnxbound.cli.values import decimal_of
    from onnxbound.documents.document import to_json_text
    from onnxbound.errors import UsageError
    from onnxbound.graph.load import load
    from onnxbound.progress import Display
    from onnxbound.run.device import resolve_device

    settings = CertificateOptions(
        delta=decimal_of("--delta", delta),
        effort=effort,
        seed=rows.seed,
        threads=threads,
        force=force,
        labels_start=rows.labels_start or 0,
        unlabelled_known=unlabelled_known,
        repeated_rows=repeated_rows,
    )
    if rows.data is None and holdout is None:
        raise UsageError("usage", "certify needs --data, the training set, or --holdout.")
    if (prior is None) != (prior_rows is None):
        raise UsageError("usage", "--prior and --prior-rows go together; for an initialisation the rows are 0.")
    if rows.data is None and (unlabelled is not None or prior is not None):
        raise UsageError("usage", "--unlabelled and --prior go with --data.")
    where = resolve_device(device)
    network = rows.network(model)
    reader = ByFile.of(network)
    kept = None if holdout is None else rows.test_rows(reader, holdout)
    with Display(shown=not quiet) as progress:
        if rows.data is None:
            assert kept is not None
            certified = certify_holdout(network, kept, output, settings, where, progress)
        else:
            certified = make(
                network,
                rows.rows(network, reader=reader),
                output,
                settings,
                where,
                unlabelled=None if unlabelled is None else rows.test_rows(reader, unlabelled, labelled=False),
                holdout=kept,
                prior=None if prior is None or prior_rows is None else Prior(load(prior), prior_rows),
                improved=(lambda _: None) if quiet else _say,
                fixed=(lambda *_: None) if quiet else _say_fixed,
                progress=progress,
            )
    if certified.interrupted and not quiet:
        print("onnxbound: interrupted; the best so far was written", file=sys.stderr)  # noqa: T201
    document = dict(certified.document) | {"files": dict(certified.files)}
    if chosen_format(output_format, as_json=as_json) is Format.JSON:
        emit(to_json_text(document), None, force=False)
    else:
        emit(_in_words(certified, model, output), None, force=False)


def _say(found: "Found") -> None:
    at = f"round {found.round} of {found.rounds}"
    said = f"onnxbound: {at}: {8 * len(found.data):,} bits, {found.errors:,} errors, bound {100 * found.bound:.2f} %"
    print(said, file=sys.stderr, flush=True)  # noqa: T201


def _say_fixed(model: str, code: str) -> None:
    said = f"onnxbound: before the unlabelled rows are looked at: model {model}, code {code}"
    print(said, file=sys.stderr, flush=True)  # noqa: T201


def _in_words(certified: "Certified", model: Path, folder: Path) -> str:
    document, (parameters, error) = certified.document, certified.original
    lines = [str(document["statement"]), ""]
    if certified.found is not None:
        bits, size = document["bits"], model.stat().st_size
        lines += [
            f"  code            {bits:>9,} bits, {bits / parameters:.2f} per parameter, the architecture among them",
            f"  training error  {document['errors'] / document['rows']:>9.2%}, of the original {error:.2%}",
            f"  original file   {size:>9,} bytes",
        ]
        written = {name: n for name, n in certified.files.items() if name.startswith(("code", "decoded"))}
        lines += [f"  {name:17} {n:>7,} bytes, {size / n:.1f} times smaller" for name, n in written.items()]
    lines += [f"  {text}" for text in certified.baselines]
    lines += ["", "It assumes:", *(f"  - {text}" for text in document["assumptions"]), ""]
    if certified.files:
        lines.append(f"Verify it: onnxbound verify {folder} {_evidence(document)}")
    else:
        lines.append("A trial on some of the rows: nothing was written, for a choice of rows proves nothing.")
    return "\n".join(lines) + "\n"


def _evidence(document: Mapping[str, Any]) -> str:
    """The options that verify needs."""
    needed = {
        "compressed": "--data FILE",
        "original_unlabelled": "--data FILE --unlabelled FILE --model MODEL, and the options of preprocessing",
        "holdout": "--holdout FILE --model MODEL, and the options of preprocessing",
        "prior": "--data FILE --prior MODEL --prior-rows N",
    }
    found = needed[document["object"]]
    return found if document["delta"] == 0.05 else f"{found} --delta {document['delta']}"
