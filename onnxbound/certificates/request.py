"""What a certificate is asked for, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from onnxbound.certificates.task import Found
from onnxbound.errors import UsageError


@dataclass(frozen=True, slots=True)
class Certified:
    """What was written.

    Attributes:
        document: Of certificate.json.
        found: What the search found; None for hold-out rows.
        interrupted: Whether the search was stopped before its end.
        files: Name to size in bytes of every file in the folder; none for a trial on some of the rows.
        original: Parameters of the original network, and the share of the rows on which it errs.
        baselines: What hold-out rows say, in words, for comparison.
    """

    document: Mapping[str, Any]
    found: Found | None
    interrupted: bool
    files: Mapping[str, int]
    original: tuple[int, float]
    baselines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateOptions:
    """How to certify.

    Attributes:
        delta: Probability with which the statement may be false.
        effort: 1 to 9.
        seed: Of the search.
        threads: None for all cores.
        force: Whether files are overwritten.
        labels_start: The label of the first class, which the rows were opened with.
        unlabelled_known: Whether the decoded network may be chosen by the unlabelled rows: those of a public test set.
        repeated_rows: Whether rows may be copies of each other.
    """

    delta: Decimal = Decimal("0.05")
    effort: int = 5
    seed: int = 0
    threads: int | None = None
    force: bool = False
    labels_start: int = 0
    unlabelled_known: bool = False
    repeated_rows: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise UsageError("usage", f"`delta` must lie between 0 and 1, and is {self.delta}.")
        if not 1 <= self.effort <= 9:
            raise UsageError("usage", f"`effort` must be 1 to 9, not {self.effort}.")
        if self.threads is not None and self.threads < 1:
            raise UsageError("usage", f"`threads` must be at least 1, not {self.threads}.")
        if self.seed < 0:
            raise UsageError("usage", f"`seed` must be at least 0, not {self.seed}.")
