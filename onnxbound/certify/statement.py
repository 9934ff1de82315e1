"""The bound of a network that is written in bits, in one sentence and as canonical JSON."""

import hashlib
import json
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from onnxbound.bounds.binomial_tail import error_bound


@dataclass(frozen=True, slots=True)
class Statement:
    """What is certified of the decoded network.

    Attributes:
        rows: m, all rows the bound was computed on.
        errors: Rows whose margin is not above the slack for other runtimes.
        bits: 8 times the size of the code file.
        delta: Probability that the bound fails.
        classes: K.
        commonest: Rows of the commonest label.
    """

    rows: int
    errors: int
    bits: int
    delta: Decimal
    classes: int
    commonest: int

    @property
    def bound(self) -> Decimal:
        """The error on new rows, at confidence 1 - delta."""
        return error_bound(self.errors, self.rows, self.bits, self.delta)

    @property
    def chance(self) -> Decimal:
        """The error of the better of guessing, 1 - 1/K, and of always saying the commonest label."""
        guessing = 1 - 1 / Decimal(self.classes)
        return min(guessing, 1 - Decimal(self.commonest) / self.rows)

    @property
    def vacuous(self) -> bool:
        """Whether the bound promises no more than chance."""
        return self.bound >= self.chance

    def sentence(self) -> str:
        """For people; the percentage is rounded up.

        >>> print(Statement(60_000, 840, 5800, Decimal("0.05"), 10, 6742).sentence())
        With probability 95 % over the draw of these 60,000 rows, this network errs on at most 10.5 % of new rows.
        """
        confidence = (100 * (1 - self.delta)).normalize()
        percent = (100 * self.bound).quantize(Decimal("0.1"), ROUND_CEILING)
        text = (
            f"With probability {confidence:f} % over the draw of these {self.rows:,} rows, this network errs on at most"
            f" {percent} % of new rows."
        )
        return f"{text} That is no better than chance: the statement is vacuous." if self.vacuous else text


def canonical_json(document: dict[str, Any]) -> bytes:
    """The one byte form of a document: sorted keys, no spaces, ASCII, and a checksum over the rest.

    Raises:
        ValueError: The document has a checksum, or a number that is not finite.

    >>> canonical_json({"b": 1, "a": "x"})[:17]
    b'{"a":"x","b":1,"c'
    """
    if "checksum" in document:
        raise ValueError("the document has a checksum already")
    checksum = hashlib.sha256(_bytes(document)).hexdigest()
    return _bytes({**document, "checksum": checksum})


def read_canonical(data: bytes) -> dict[str, Any]:
    """The document of `canonical_json`, without its checksum.

    Raises:
        ValueError: The bytes are not what `canonical_json` writes for any document.
    """
    try:
        document = json.loads(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(document, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - one kind of error for all that is wrong with a file
    document.pop("checksum", None)
    if canonical_json(document) != data:
        raise ValueError("it is not in its canonical form, or its checksum is wrong")
    return document


def _bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
