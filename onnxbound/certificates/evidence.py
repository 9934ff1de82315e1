"""What a verifier is given besides the certificate."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.claims import Claims
from onnxbound.certificates.folder import malformed
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.data.rows import Rows
from onnxbound.errors import Problem, UsageError, VerificationError
from onnxbound.graph.network import Network

T = TypeVar("T")

Opener = Callable[[Network, Preprocessing, int | None, int], Rows]
"""Opens a file of rows for a network: with its preprocessing, the size of the sub-sample or None, and its seed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verifier has besides the certificate's folder.

    Attributes:
        data: The training set.
        model: The original network.
        unlabelled: Unlabelled rows.
        holdout: Labelled rows that no network has seen.
        prior: The prior network.
        prior_rows: Places in the training set of the rows it has seen.
    """

    data: Opener | None = None
    model: Network | None = None
    unlabelled: Opener | None = None
    holdout: Opener | None = None
    prior: Network | None = None
    prior_rows: NDArray[np.int64] | None = None


def open_role(
    claims: Claims,
    evidence: Evidence,
    role: Literal["data", "unlabelled", "holdout"],
    network: Network,
    preprocessing: Preprocessing,
) -> Rows:
    """The rows of a role, opened for a network, which may take integers where the decoded one takes float32."""
    opener: Opener | None = getattr(evidence, role)
    open_file = given(opener, f"--{role}")
    if network.input_type.kind != "f":
        preprocessing = Preprocessing(layout=preprocessing.layout)
    name = claims.preprocessing.get("input")
    if not isinstance(name, str):
        raise malformed("certificate.json", "the name of the input is no text")
    named = replace(network, input=name)
    limit = claims.subsample(role) if claims.object != "prior" else None
    return open_file(named, preprocessing, limit, claims.seed)


def without(rows: Rows, seen: NDArray[np.int64]) -> Rows:
    """The rows that a prior has not seen.

    Raises:
        UsageError: The places are not those of rows, or no row is left.
    """
    if seen.ndim != 1 or seen.dtype.kind not in "iu" or not np.isin(seen, rows.index).all():
        raise UsageError("usage", "--prior-rows takes a vector of places of rows in the training set, .npy.")
    kept = ~np.isin(rows.index, seen)
    if not kept.any():
        raise UsageError("usage", "The prior has seen every row: none is left to evaluate on.")
    return replace(rows, index=rows.index[kept], labels=rows.labels[kept])


def rows_hash(places: NDArray[np.int64]) -> str:
    """SHA-256 of places of rows."""
    return sha256(np.sort(places).astype("<i8").tobytes()).hexdigest()


def given(value: T | None, flag: str) -> T:
    """The evidence, or certificate-evidence where the statement rests on what was not given."""
    if value is None:
        raise VerificationError(
            "certificate-evidence",
            f"The certificate cannot be verified without {flag}.",
            [Problem(flag, "the statement rests on it", f"give {flag}")],
        )
    return value
