"""`verify`."""

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from onnxbound.certificates.evidence import Evidence, Opener
from onnxbound.certificates.request import probability
from onnxbound.certificates.verify import Verification
from onnxbound.certificates.verify import verify as verified
from onnxbound.data.open import Data, InputSpec, open_rows
from onnxbound.data.preprocessing import Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.progress import Watcher, watched
from onnxbound.run.device import resolve_device
from onnxbound.verbs.arguments import AnyNetwork, AnyPath, network_of

AnyRows = Rows | Data | Opener
"""Rows that were opened, what `open_rows` takes, or a function that opens them for a network and its preprocessing."""


def verify(
    folder: AnyPath,
    rows: AnyRows | None = None,
    *,
    model: AnyNetwork | None = None,
    preprocessing: Preprocessing | None = None,
    unlabelled: AnyRows | None = None,
    holdout: AnyRows | None = None,
    prior: AnyNetwork | None = None,
    prior_rows: int | None = None,
    labels_start: int = 0,
    delta: float | str | Decimal = 0.05,
    unlabelled_known: bool = False,
    repeated_rows: bool = False,
    device: str = "auto",
    threads: int | None = None,
    progress: Watcher = None,
) -> Verification:
    """Re-derive and check every claim in a certificate.

    Args:
        folder: The folder of the certificate.
        rows: The whole training set: opened rows, anything that `open_rows` takes as `data`, or a function. The
            function takes a network and its preprocessing, and returns opened rows.
        model: The original network, if the statement is about it.
        preprocessing: The preprocessing of the original network. The code contains the decoded network's.
        unlabelled: The unlabelled rows.
        holdout: The labelled rows that the network has not seen.
        prior: The prior network.
        prior_rows: Number of rows that the prior has seen, from the start of the training set.
        labels_start: The label of the first class.
        delta: Largest probability that the statement is false. Choose it before you look at the rows.
        unlabelled_known: Whether the unlabelled rows may have been known during the search.
        repeated_rows: Whether duplicate rows are allowed.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Number of threads; None for all cores.
        progress: Called with (stage, done, total). None shows a bar, False shows nothing.

    Returns:
        The recomputed numbers and the statement.

    Raises:
        VerificationError: certificate-malformed, or certificate-mismatch with the first difference.
        UsageError: certificate-evidence. An argument is missing, or the certificate does not use it.
        DataError: The folder does not exist, or the rows cannot be read or do not fit the network.
        DeviceError: The device is not available, or the runtime failed.

    For an example, see `certify`.
    """
    others: dict[str, Any] = {"labels_start": labels_start, "role": "test"}
    evidence = Evidence(
        data=_opener("rows", rows, labels_start=labels_start),
        model=None if model is None else network_of(model),
        preprocessing=preprocessing,
        unlabelled=_opener("unlabelled", unlabelled, labelled=False, **others),
        holdout=_opener("holdout", holdout, **others),
        prior=None if prior is None else network_of(prior),
        prior_rows=prior_rows,
        labels_start=labels_start,
    )
    with watched(progress) as shown:
        return verified(
            folder,
            evidence,
            resolve_device(device),
            threads,
            delta=probability(delta),
            unlabelled_known=unlabelled_known,
            repeated_rows=repeated_rows,
            progress=shown,
        )


def _reopened(name: str, rows: Rows, reader: InputSpec, preprocessing: Preprocessing) -> Rows:
    """Read rows that were opened for another network anew.

    Raises:
        UsageError: They are a sample.
    """
    if rows.count != rows.total:
        raise UsageError("usage", f"`{name}` must be all rows of a file: open them without `limit`.")
    array = rows.array
    shape, kind = reader.input_shape, reader.input_type
    convert = converter(array.shape[1:], array.dtype, array.name, shape, kind, preprocessing)
    return replace(rows, convert=convert, preprocessing=preprocessing)


def _opener(name: str, given: AnyRows | None, **how: Any) -> Opener | None:
    """How a verifier opens rows: for the network at hand, with its preprocessing."""
    if isinstance(given, Rows | None):
        return None if given is None else partial(_reopened, name, given)
    if callable(given):
        return given
    return lambda reader, preprocessing: open_rows(given, reader, preprocessing, **how)
