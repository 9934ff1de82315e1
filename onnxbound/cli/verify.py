"""`onnxbound verify`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from onnxbound.cli.certify import EvidenceOptions
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import WholeFileOptions
from onnxbound.cli.options import argument, option
from onnxbound.cli.output_options import OutputOptions


@grouped
def verify(
    *,
    folder: Path = argument("DIR", "The folder of the certificate."),
    rows: WholeFileOptions,
    result: OutputOptions,
    evidence: EvidenceOptions,
    model: Path | None = option("MODEL", "The original net, if the certificate is about it."),
) -> None:
    """Recompute every claim of a certificate, and exit with 1 at the first difference."""
    from onnxbound.data.open import open_rows
    from onnxbound.verbs.verify import verify as verified

    result.require_writable()
    said = rows.said()
    rows = replace(rows, labels_start=said.labels_start or 0)  # names of classes are no evidence

    def opener(path: Path | None, **how: Any) -> Any:
        return None if path is None else lambda reader, own: open_rows(path, reader, own, **how)

    given = vars(evidence) | {
        "unlabelled": opener(evidence.unlabelled, labelled=False, **rows.of_others(evidence.unlabelled)),
        "holdout": opener(evidence.holdout, **rows.of_others(evidence.holdout)),
    }
    with result.progress() as progress:
        verification = verified(
            folder,
            opener(rows.data, **rows.of_training()),
            model=None if model is None else rows.network(model, evidence.holdout or evidence.unlabelled, by_file=True),
            preprocessing=said.preprocessing,
            labels_start=rows.labels_start or 0,
            progress=progress,
            **given,
        )
    result.show(verification)
