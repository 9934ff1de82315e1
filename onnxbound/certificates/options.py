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
        files: Name to size in bytes of every file in the folder.
    """

    document: Mapping[str, Any]
    found: Found | None
    interrupted: bool
    files: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Options:
    """How to certify.

    Attributes:
        delta: Probability with which the statement may be false.
        effort: 1 to 9.
        seed: Of the search and of the sub-sample.
        charge_skeleton: Whether the code holds the skeleton.
        threads: None for all cores.
        force: Whether files are overwritten.
    """

    delta: Decimal = Decimal("0.05")
    effort: int = 5
    seed: int = 0
    charge_skeleton: bool = False
    threads: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise UsageError("usage", "--delta takes a number between 0 and 1.")
        if not 1 <= self.effort <= 9:
            raise UsageError("usage", "--effort takes a number from 1 to 9.")
        if self.threads is not None and self.threads < 1:
            raise UsageError("usage", "--threads takes a number of at least 1.")
