"""The certificate of a network by rows that it has not seen."""

from pathlib import Path
from typing import Any

import numpy as np

from onnxbound.certificates.canonical import canonical_json
from onnxbound.certificates.certificate import Certificate, Source
from onnxbound.certificates.decisions import Decisions, Evaluation
from onnxbound.certificates.folder import CERTIFICATE, require_folder, write_folder
from onnxbound.certificates.options import Certified, Options
from onnxbound.certificates.preprocessing import split
from onnxbound.certificates.statement import Statement
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.run.device import Device


def certify_holdout(network: Network, holdout: Rows, folder: Path, options: Options, device: Device) -> Certified:
    """What labelled rows that a network has not seen say of it, as a certificate of its own.

    Raises:
        OutputError: The file cannot be written.
    """
    public, numbers = split(holdout.preprocessing, integer_input=network.input_type.kind != "f")
    seen = Evaluation(device, options.threads)(network, holdout)
    require_folder(folder, force=options.force)
    certificate = Certificate(
        statement=Statement(
            object="holdout",
            rows=holdout.count,
            errors=seen.errors(seen.tau),
            bits=0,
            delta=options.delta,
            classes=network.classes,
            commonest=int(np.bincount(holdout.labels).max()),
        ),
        tau=seen.tau,
        code=None,
        skeleton=None,
        sources=(Source("holdout", holdout.fingerprint(), holdout.count, holdout.total),),
        preprocessing=public | {"input": network.input, "numbers": list(numbers)},
        seed=options.seed,
        model=model_entry(network, seen),
        baselines=(),
    )
    document = certificate.document()
    files = {CERTIFICATE: canonical_json(document)}
    write_folder(folder, files, force=options.force)
    return Certified(document, None, interrupted=False, files={CERTIFICATE: len(files[CERTIFICATE])})


def model_entry(network: Network, seen: Decisions) -> dict[str, Any]:
    """What a certificate says of the original network."""
    return {
        "sha256": network.sha256,
        "parameters": network.parameters,
        "train_error": seen.errors(0.0) / len(seen.margin),
    }
