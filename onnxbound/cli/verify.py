"""`onnxbound verify`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.certify import Holdout, Prior, PriorRows, Unlabelled
from onnxbound.cli.groups import LabelOptions, ModelOptions, grouped
from onnxbound.cli.options import Format, chosen_format, set_threads

if TYPE_CHECKING:
    from onnxbound.certificates.evidence import Opener

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the certificate.", show_default=False)]
Model = Annotated[Path | None, typer.Option("--model", metavar="MODEL", help="The original network.")]


@grouped
def verify(
    folder: Folder,
    rows: LabelOptions,
    original: ModelOptions,
    *,
    model: Model = None,
    unlabelled: Unlabelled = None,
    holdout: Holdout = None,
    prior: Prior = None,
    prior_rows: PriorRows = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    output_format: options.FormatOption = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Find out again everything a certificate says: exit 0 if it holds, 1 and the first mismatch if not."""
    del debug
    set_threads(threads)
    from onnxbound.certificates.evidence import Evidence
    from onnxbound.certificates.verify import verify as check
    from onnxbound.cli.output import emit
    from onnxbound.cli.values import places_of
    from onnxbound.documents.document import to_json_text
    from onnxbound.graph.load import load
    from onnxbound.run.device import resolve_device

    rows = rows.under(original.said())
    evidence = Evidence(
        data=_opener(rows.data, **rows.of_training()),
        model=None if model is None else original.network(model),
        unlabelled=None if unlabelled is None else _opener(unlabelled, labelled=False, **rows.of_others(unlabelled)),
        holdout=None if holdout is None else _opener(holdout, **rows.of_others(holdout)),
        prior=None if prior is None else load(prior),
        prior_rows=None if prior_rows is None else places_of("--prior-rows", prior_rows),
    )
    verified = check(folder, evidence, resolve_device(device), threads)
    if chosen_format(output_format, as_json=as_json) is Format.JSON:
        emit(to_json_text(verified.to_json()), None, force=False)
        return
    counted = (
        f"  {verified.bits:,} bits, {verified.errors:,} errors on {verified.rows:,} rows counted here,"
        f" {verified.errors_claimed:,} with slack for other runtimes"
    )
    assumed = [f"  - {text}" for text in verified.assumptions]
    lines = ["The certificate verifies.", "", verified.statement, "", counted, "", "It assumes:", *assumed]
    if verified.unchecked:
        lines += ["", f"Not checked, for want of files: {', '.join(verified.unchecked)}"]
    emit("\n".join(lines) + "\n", None, force=False)


def _opener(path: Path | None, **options: object) -> "Opener | None":
    if path is None:
        return None
    from functools import partial

    from onnxbound.data.open import open_rows

    opener: Callable[..., object] = partial(open_rows, path, **options)  # type: ignore[arg-type]
    return lambda network, preprocessing, limit, seed: opener(network, preprocessing, limit=limit, seed=seed)  # type: ignore[return-value]
