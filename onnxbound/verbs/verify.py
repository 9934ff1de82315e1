"""`verify`."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from onnxbound.certificates.evidence import Evidence, Opener
from onnxbound.certificates.verify import Verification
from onnxbound.certificates.verify import verify as verified
from onnxbound.data.open import Data, open_rows
from onnxbound.data.preprocessing import Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.graph.network import Network
from onnxbound.rng import select_rows
from onnxbound.run.device import resolve_device
from onnxbound.verbs.arguments import AnyNetwork, AnyPath, network_of


def verify(
    folder: AnyPath,
    rows: Rows | Data | None = None,
    *,
    model: AnyNetwork | None = None,
    unlabelled: Rows | Data | None = None,
    holdout: Rows | Data | None = None,
    prior: AnyNetwork | None = None,
    prior_rows: ArrayLike | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Verification:
    """Find out again everything that a certificate says, trusting nobody.

    Rows are opened with the preprocessing that the certificate states, whatever they were opened with before.

    Args:
        folder: With the certificate's files.
        rows: The training set, opened for any network; or a file or arrays, as `open_rows` takes them.
        model: The original network, where the statement is about it.
        unlabelled: The unlabelled rows.
        holdout: The labelled rows that no network has seen.
        prior: The prior network.
        prior_rows: Places in the training set of the rows that it has seen.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Threads; None for all cores.

    Returns:
        What was counted and computed again.

    Raises:
        VerificationError: certificate-malformed, certificate-mismatch with the first thing that differs, or
            certificate-evidence where something is missing.
        DataError: The rows cannot be read, or do not fit the network.
        DeviceError: The device is not there, or the runtime failed.

    The example of `certify` verifies what it wrote.
    """
    evidence = Evidence(
        data=_opener("rows", rows),
        model=None if model is None else network_of(model),
        unlabelled=_opener("unlabelled", unlabelled, labelled=False, role="test"),
        holdout=_opener("holdout", holdout, role="test"),
        prior=None if prior is None else network_of(prior),
        prior_rows=None if prior_rows is None else np.asarray(prior_rows, np.int64),
    )
    return verified(folder, evidence, resolve_device(device), threads)


def _reopened(
    name: str, rows: Rows, network: Network, preprocessing: Preprocessing, limit: int | None, seed: int
) -> Rows:
    """Read rows that were opened for another network anew.

    Raises:
        UsageError: They are not the sample that the certificate is about.
    """
    count = rows.total if limit is None else limit
    if not np.array_equal(select_rows(seed, rows.total, count, stream=1), rows.index):
        sample = f"`limit={limit}` and `seed={seed}`" if count < rows.total else "no `limit`"
        raise UsageError("usage", f"`{name}` must be the rows of the certificate: open them with {sample}.")
    array = rows.array
    shape, kind = network.input_shape, network.input_type
    convert = converter(array.shape[1:], array.dtype, array.name, shape, kind, preprocessing)
    return replace(rows, convert=convert, preprocessing=preprocessing)


def _opener(name: str, given: Rows | Data | None, **how: Any) -> Opener | None:
    """How a verifier opens rows: for the network at hand, with the preprocessing and the sample of the certificate."""
    if isinstance(given, Rows | None):
        return None if given is None else partial(_reopened, name, given)
    return lambda network, preprocessing, limit, seed: open_rows(
        given, network, preprocessing, limit=limit, seed=seed, **how
    )
