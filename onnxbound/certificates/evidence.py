"""What a verifier is given besides the certificate, and what can be seen of rows that should be independent."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from onnxbound.certificates.statement import Object
from onnxbound.data.open import InputSpec
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.data.rows import Rows
from onnxbound.errors import DataError, Problem, UsageError
from onnxbound.graph.network import Network

T = TypeVar("T")

Opener = Callable[[InputSpec, Preprocessing], Rows]
"""Opens all rows of a file for a network, with its preprocessing."""

_PARTS: dict[Object, tuple[str, ...]] = {
    "compressed": ("data",),
    "original_unlabelled": ("data", "model", "unlabelled"),
    "holdout": ("holdout", "model"),
    "prior": ("data", "prior", "prior_rows"),
}
"""What the statement about each object rests on, beside how files are read."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verifier has besides the certificate's folder.

    Attributes:
        data: The training set.
        model: The original network, read as the verifier wants it read.
        preprocessing: What is done to rows before the original network sees them.
        unlabelled: Unlabelled rows.
        holdout: Labelled rows that the network has not seen.
        prior: The prior network.
        prior_rows: How many rows it has seen, the first of the training set.
        labels_start: The label of the first class.
    """

    data: Opener | None = None
    model: Network | None = None
    preprocessing: Preprocessing | None = None
    unlabelled: Opener | None = None
    holdout: Opener | None = None
    prior: Network | None = None
    prior_rows: int | None = None
    labels_start: int = 0

    def require_no_more_than(self, kind: Object, *, known: bool) -> None:
        """Refuse what plays no part in a certificate of this kind: whoever gives it expects a statement about it.

        Raises:
            UsageError: certificate-evidence.
        """
        names = ("data", "model", "unlabelled", "holdout", "prior", "prior_rows")
        idle = [name for name in names if getattr(self, name) is not None and name not in _PARTS[kind]]
        if known and kind != "original_unlabelled":
            idle.append("unlabelled_known")
        if idle:
            said = ", ".join(f"`{name}`" for name in idle)
            raise UsageError(
                "certificate-evidence",
                f"A certificate of the object {kind} does not use {said}.",
                [Problem(name, "the statement does not depend on it", f"leave `{name}` out") for name in idle],
            )


@dataclass(frozen=True, slots=True)
class ByFile:
    """Rows as a network takes them, told apart by the names in the file alone.

    Attributes:
        input: Empty.
        input_shape: Shape of a row.
        input_type: Its element type.
        class_labels: 0 to K - 1.
        parts: Inputs that stand side by side in a row; the verifier says which arrays they are.
    """

    input: str
    input_shape: tuple[int, ...]
    input_type: np.dtype[np.generic]
    class_labels: tuple[int | str, ...]
    parts: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, network: InputSpec) -> "ByFile":
        """For a network."""
        classes = tuple(range(len(network.class_labels)))
        return cls("", network.input_shape, network.input_type, classes, network.parts)


def distinct(rows: Rows) -> set[bytes]:
    """One digest for every value that a row has, whatever its element type and label."""
    found = set[bytes]()
    for start in range(0, rows.count, rows.at_a_time):
        values = rows.array.take(rows.index[start : start + rows.at_a_time]).astype(np.float64)
        found.update(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in values)
    return found


def require_distinct(rows: Rows, found: set[bytes], role: str, *, repeated: bool) -> None:
    """Refuse rows most of which are copies: they were not drawn independently.

    Raises:
        DataError: data-repeated.
    """
    if not repeated and 2 * len(found) < rows.count:
        why = f"{rows.count:,} rows have {len(found):,} different values"
        raise DataError(
            "data-repeated",
            f"Most rows of {role} are copies of other rows.",
            [Problem(rows.array.name, why, "draw other rows; if rows may repeat, give `repeated_rows`")],
        )


def require_disjoint(one: set[bytes], other: set[bytes], roles: tuple[str, str], *, repeated: bool) -> None:
    """Refuse rows that two roles share where the statement needs them apart.

    Raises:
        DataError: data-repeated.
    """
    shared = len(one & other)
    if shared and not repeated:
        raise DataError(
            "data-repeated",
            f"{roles[0]} and {roles[1]} share rows; the statement needs different ones.",
            [
                Problem(
                    roles[0],
                    f"{shared:,} rows are in both",
                    "draw other rows; if rows may repeat, give `repeated_rows`",
                )
            ],
        )


def without_first(rows: Rows, seen: int) -> tuple[Rows, Rows]:
    """The rows that a prior has seen, and the others.

    Raises:
        UsageError: There are not so many.
    """
    if not 0 <= seen < rows.total:
        raise UsageError("usage", f"`prior_rows` is {seen}, and the file has {rows.total} rows, so none is left.")
    kept = rows.index >= seen
    first, rest = (replace(rows, index=rows.index[which], labels=rows.labels[which]) for which in (~kept, kept))
    return first, rest


def given(value: T | None, parameter: str) -> T:
    """The evidence, or certificate-evidence where the statement rests on what was not given."""
    if value is None:
        raise UsageError(
            "certificate-evidence",
            f"The certificate cannot be verified without `{parameter}`.",
            [Problem(parameter, "the statement depends on it", f"give `{parameter}`")],
        )
    return value
