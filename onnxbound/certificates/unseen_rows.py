"""The certificate of a network by rows that it has not seen."""

from pathlib import Path

import numpy as np

from onnxbound.certificates import evidence
from onnxbound.certificates.canonical import canonical_json
from onnxbound.certificates.certificate import Certificate, Source, model_hash, preprocessing_said, reading_of
from onnxbound.certificates.decisions import Evaluation, Progress, errors
from onnxbound.certificates.files import CERTIFICATE, require_folder, write_folder
from onnxbound.certificates.request import CertificateOptions, Certified, Original, verified_with
from onnxbound.certificates.statement import Statement
from onnxbound.codec.words_said import preprocessing_in_words
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.run.device import Device


def certify_holdout(
    network: Network,
    holdout: Rows,
    folder: Path,
    options: CertificateOptions,
    device: Device,
    progress: Progress = lambda *_: None,
) -> Certified:
    """What labelled rows that a network has not seen say of it, as a certificate of its own.

    Raises:
        DataError: The rows are copies of each other.
        OutputError: The file cannot be written.
    """
    values = evidence.distinct(holdout)
    evidence.require_distinct(holdout, values, "holdout", repeated=options.repeated_rows)
    trial = holdout.count < holdout.total
    if not trial:
        require_folder(folder, force=options.force)
    found = errors(Evaluation(device, options.threads, progress=progress)(network, holdout), holdout.labels)
    certificate = Certificate(
        statement=Statement(
            object="holdout",
            rows=holdout.count,
            errors=found,
            bits=0,
            delta=options.delta,
            classes=network.classes,
            commonest=int(np.bincount(holdout.labels).max()),
        ),
        code=None,
        sources=(Source("holdout", holdout.fingerprint(), holdout.count, holdout.total),),
        preprocessing=preprocessing_said(None, preprocessing_in_words(holdout.preprocessing)),
        reading=reading_of(options.labels_start, network),
        model={"sha256": model_hash(network)},
    )
    document = certificate.document()
    files = {} if trial else {CERTIFICATE: canonical_json(document)}
    if files:
        write_folder(folder, files, force=options.force)
    sizes = {name: len(content) for name, content in files.items()}
    original = Original.of(network, found / holdout.count)
    needed = verified_with(document, folder, {"holdout": holdout.path, "model": network.path}, holdout.preprocessing)
    return Certified(document, verified_with=needed, interrupted=False, files=sizes, original=original)
