"""`onnxbound certify`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.groups import OptionalRowOptions, grouped
from onnxbound.cli.options import Format, chosen_format, set_threads

if TYPE_CHECKING:
    from onnxbound.certificates.options import Certified
    from onnxbound.certificates.task import Found

Folder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the files.")]
Unlabelled = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Fresh rows without labels: certify the original through them."),
]
Holdout = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Labelled rows the net has not seen: a baseline; alone, without --data, all."),
]
Prior = Annotated[Path | None, typer.Option(metavar="MODEL", help="Code the difference from this net.")]
PriorRows = Annotated[Path | None, typer.Option(metavar="FILE", help="Places of the rows the prior has seen, .npy.")]
Effort = Annotated[int, typer.Option(metavar="1..9", help="How long to search.")]
Delta = Annotated[str, typer.Option(metavar="D", help="Probability with which the statement may be false.")]
ChargeSkeleton = Annotated[
    bool, typer.Option("--charge-skeleton", help="Count the architecture too: it was chosen by these rows.")
]


@grouped
def certify(
    model: options.ModelArgument,
    output: Folder,
    rows: OptionalRowOptions,
    *,
    unlabelled: Unlabelled = None,
    holdout: Holdout = None,
    prior: Prior = None,
    prior_rows: PriorRows = None,
    charge_skeleton: ChargeSkeleton = False,
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
    from onnxbound.certificates.certify import Prior
    from onnxbound.certificates.certify import certify as make
    from onnxbound.certificates.holdout import certify_holdout
    from onnxbound.certificates.options import Options
    from onnxbound.cli.output import emit
    from onnxbound.cli.values import decimal_of, places_of
    from onnxbound.documents.document import to_json_text
    from onnxbound.errors import UsageError
    from onnxbound.graph.load import load
    from onnxbound.run.device import resolve_device

    settings = Options(decimal_of("--delta", delta), effort, rows.seed, charge_skeleton, threads, force)
    if rows.data is None and holdout is None:
        raise UsageError("usage", "certify needs --data, the training set, or --holdout.")
    if (prior is None) != (prior_rows is None):
        raise UsageError("usage", "--prior and --prior-rows go together; for an initialisation the rows are none.")
    if rows.data is None and (unlabelled is not None or prior is not None or charge_skeleton):
        raise UsageError("usage", "--unlabelled, --prior and --charge-skeleton go with --data.")
    where = resolve_device(device)
    network = rows.network(model)
    kept = None if holdout is None else rows.test_rows(network, holdout)
    if rows.data is None:
        assert kept is not None
        certified = certify_holdout(network, kept, output, settings, where)
    else:
        certified = make(
            network,
            rows.rows(network),
            output,
            settings,
            where,
            unlabelled=None if unlabelled is None else rows.test_rows(network, unlabelled, labelled=False),
            holdout=kept,
            prior=None
            if prior is None or prior_rows is None
            else Prior(load(prior), places_of("--prior-rows", prior_rows)),
            improved=(lambda _: None) if quiet else _say,
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


def _in_words(certified: "Certified", model: Path, folder: Path) -> str:
    document, original = certified.document, certified.document["model"]
    lines = [str(document["statement"]), ""]
    if certified.found is not None:
        bits, size, error = document["bits"], model.stat().st_size, document["errors"] / document["rows"]
        lines += [
            f"  code            {bits:>9,} bits, {bits / original['parameters']:.2f} per parameter",
            f"  training error  {error:>9.2%}, of the original {original['train_error']:.2%}",
            f"  original file   {size:>9,} bytes",
        ]
        written = {name: n for name, n in certified.files.items() if name.startswith(("code", "decoded"))}
        lines += [f"  {name:17} {n:>7,} bytes, {size / n:.1f} times smaller" for name, n in written.items()]
    lines += [f"  {entry['name']}: error at most {entry['bound']:.2%}" for entry in document["baselines"]]
    lines += ["", "It assumes:", *(f"  - {text}" for text in document["assumptions"]), ""]
    lines.append(f"Verify it: onnxbound verify {folder} {_EVIDENCE[document['object']]}")
    return "\n".join(lines) + "\n"


_EVIDENCE = {
    "compressed": "--data FILE",
    "original_unlabelled": "--data FILE --unlabelled FILE --model MODEL",
    "holdout": "--holdout FILE --model MODEL",
    "prior": "--data FILE --prior MODEL --prior-rows FILE",
}
"""The options that verify needs."""
