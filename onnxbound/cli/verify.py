"""`onnxbound verify`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxbound.cli import options
from onnxbound.cli.certify import Delta, Holdout, Prior, PriorRows, RepeatedRows, Unlabelled, UnlabelledKnown
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import WholeFileOptions
from onnxbound.cli.options import Format, chosen_format, set_threads

if TYPE_CHECKING:
    from onnxbound.certificates.evidence import Opener
    from onnxbound.certificates.verify import Verification

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the certificate.", show_default=False)]
Model = Annotated[Path | None, typer.Option("--model", metavar="MODEL", help="The original network.")]


@grouped
def verify(
    folder: Folder,
    rows: WholeFileOptions,
    *,
    model: Model = None,
    unlabelled: Unlabelled = None,
    unlabelled_known: UnlabelledKnown = False,
    holdout: Holdout = None,
    prior: Prior = None,
    prior_rows: PriorRows = None,
    repeated_rows: RepeatedRows = False,
    delta: Delta = "0.05",
    device: options.Device = "auto",
    threads: options.Threads = None,
    output_format: options.FormatOption = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Find out again everything a certificate says: exit 0 if it holds, 1 and the first mismatch if not."""
    del debug
    set_threads(threads)
    said = rows.said()
    rows = replace(rows.under(said), labels_start=said.labels_start or 0)  # names of classes are no evidence
    from onnxbound.certificates.evidence import Evidence
    from onnxbound.certificates.verify import verify as check
    from onnxbound.cli.output import emit
    from onnxbound.cli.values import decimal_of
    from onnxbound.documents.document import to_json_text
    from onnxbound.graph.load import load
    from onnxbound.progress import Display
    from onnxbound.run.device import resolve_device

    evidence = Evidence(
        data=_opener(rows.data, **rows.of_training()),
        model=None if model is None else rows.network(model, holdout or unlabelled, by_file=True),
        preprocessing=said.preprocessing,
        unlabelled=None if unlabelled is None else _opener(unlabelled, labelled=False, **rows.of_others(unlabelled)),
        holdout=None if holdout is None else _opener(holdout, **rows.of_others(holdout)),
        prior=None if prior is None else load(prior),
        prior_rows=prior_rows,
        labels_start=rows.labels_start or 0,
    )
    with Display(shown=not quiet) as progress:
        verified = check(
            folder,
            evidence,
            resolve_device(device),
            threads,
            delta=decimal_of("--delta", delta),
            unlabelled_known=unlabelled_known,
            repeated_rows=repeated_rows,
            progress=progress,
        )
    if chosen_format(output_format, as_json=as_json) is Format.JSON:
        emit(to_json_text(verified.to_json()), None, force=False)
    else:
        emit(_in_words(verified), None, force=False)


def _in_words(verified: "Verification") -> str:
    lines = ["The certificate verifies.", "", verified.statement, ""]
    for used in verified.used:
        shape = " x ".join(map(str, used.shape))
        lines.append(
            f"  {used.role:13} {used.array}, {shape}; {used.rows:,} rows count, {used.distinct:,} are distinct"
        )
        lines.append(f"  {'':13} sha256 {used.sha256}")
    lines.append(f"  {'errors':13} {verified.errors:,} counted here, {verified.errors_claimed:,} are claimed")
    lines.append(f"  {'preprocessing':13} {verified.preprocessing}")
    if verified.architecture:
        lines.append(f"  {'bits':13} {verified.bits:,}, {verified.architecture_bits:,} of them for the architecture:")
        lines.append(f"  {'':13} {verified.architecture}")
    lines += ["", "It assumes:", *(f"  - {text}" for text in verified.assumptions)]
    return "\n".join(lines) + "\n"


def _opener(path: Path | None, **found: Any) -> "Opener | None":
    if path is None:
        return None
    from functools import partial

    from onnxbound.data.open import open_rows

    opener: Callable[..., Any] = partial(open_rows, path, **found)
    return lambda reader, preprocessing: opener(reader, preprocessing)
