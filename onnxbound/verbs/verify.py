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
        folder: With the certificate's files.
        rows: The whole training set: a file or arrays as `open_rows` takes them, opened rows, or a function that opens
            them for a network, with its preprocessing.
        model: The original network, where the statement is about it.
        preprocessing: What is done to rows before the original network sees them; the code has its own.
        unlabelled: The unlabelled rows.
        holdout: The labelled rows that no network has seen.
        prior: The prior network.
        prior_rows: How many rows it has seen, the first of the training set.
        labels_start: The label of the first class.
        delta: Probability with which the statement may be false, chosen before looking.
        unlabelled_known: Whether the decoded network may be chosen by the unlabelled rows.
        repeated_rows: Whether rows may be copies of each other.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Threads; None for all cores.
        progress: Called with (stage, rows done, rows in all).

    Returns:
        What was counted and computed again.

    Raises:
        VerificationError: certificate-malformed, or certificate-mismatch with the first thing that differs.
        UsageError: certificate-evidence, something is missing or plays no part.
        DataError: There is no such folder; the rows cannot be read, or do not fit the network.
        DeviceError: The device is not there, or the runtime failed.

    The example of `certify` verifies what it wrote.
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
