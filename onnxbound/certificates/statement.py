"""What is certified of a network: the numbers, the bound they give, and one sentence for people."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Literal

from onnxbound.bounds.binomial_tail import error_bound

Object = Literal["compressed", "original_unlabelled", "holdout", "prior"]
OBJECTS: tuple[Object, ...] = ("compressed", "original_unlabelled", "holdout", "prior")
"""The decoded network; the original through unlabelled rows; the original on rows it was not trained on; the decoded
network as its difference from another one that has seen fewer rows."""


_EVERY_DIGIT = 800
"""Digits of 1 - delta for any delta that is a float."""


@dataclass(frozen=True, slots=True)
class Disagreements:
    """Of the original and the decoded network, on unlabelled rows drawn after both were fixed.

    Attributes:
        rows: Unlabelled rows.
        count: Those that the two decide differently, or that one of them does not clearly decide.
        known: Whether the decoded network may have been chosen by these rows; its bits are paid again then.
    """

    rows: int
    count: int
    known: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """A bound on the error of one network on new rows.

    Attributes:
        object: What it is about.
        rows: m, all rows the bound was computed on.
        errors: Rows that are not clearly decided for their label.
        bits: 8 times the size of the code file; 0 where nothing was chosen by the rows.
        delta: Probability that the bound fails.
        classes: K.
        commonest: Rows of the commonest label.
        disagreements: For the original through unlabelled rows.
    """

    object: Object
    rows: int
    errors: int
    bits: int
    delta: Decimal
    classes: int
    commonest: int
    disagreements: Disagreements | None = None

    @property
    def ledger(self) -> tuple[tuple[str, Decimal], ...]:
        """What may fail, and with which probability; together delta."""
        if self.disagreements is None:
            return (("the error of the network on the rows", self.delta),)
        half = self.delta / 2
        return (("the error of the decoded network", half), ("its disagreement with the original", half))

    @property
    def bound(self) -> Decimal:
        """The error on new rows, at confidence 1 - delta.

        For the original, L(f) <= L(g) + P[f != g], each at delta / 2.
        """
        share = self.ledger[0][1]
        bound = error_bound(self.errors, self.rows, self.bits, share)
        if self.disagreements is not None:
            bits = self.bits if self.disagreements.known else 0
            bound += error_bound(self.disagreements.count, self.disagreements.rows, bits, share)
        return min(bound, Decimal(1))

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

        >>> text = Statement("compressed", 60_000, 840, 5800, Decimal("0.05"), 10, 6742).sentence()
        >>> "with a confidence of 95 % this network errs on at most 10.5 % of new rows" in text
        True
        """
        with localcontext(prec=_EVERY_DIGIT):
            confidence = (100 * (1 - self.delta)).normalize()
        percent = (100 * self.bound).quantize(Decimal("0.1"), ROUND_CEILING)
        rows, subject = f"these {self.rows:,} rows", "this network"
        if self.disagreements is not None:
            rows, subject = f"{rows} and the {self.disagreements.rows:,} unlabelled ones", "the original network"
        elif self.object == "holdout":
            rows, subject = f"these {self.rows:,} hold-out rows", "the original network"
        elif self.object == "prior":
            rows = f"{rows}, which the prior has not seen,"
        text = (
            f"If {rows} were drawn at random, then with a confidence of {confidence:f} % {subject} errs on at most"
            f" {percent} % of new rows drawn in the same way."
        )
        return f"{text} That is no better than chance: the statement is vacuous." if self.vacuous else text


def largest_code_bits(rows: int, errors: int, delta: Decimal, chance: Decimal) -> int:
    """The longest code at which a network of these errors would still be bounded below chance; -1 if none is."""
    low, high = -1, 0
    while error_bound(errors, rows, high, delta) < chance:
        low, high = high, 2 * high + 1
    while high - low > 1:
        middle = (low + high) // 2
        if error_bound(errors, rows, middle, delta) < chance:
            low = middle
        else:
            high = middle
    return low
