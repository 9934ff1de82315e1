"""What rows that neither net has seen say of the drop in accuracy.

A few nets, the largest first, are put to the test in this order, each at the full probability of failure, until one
fails: the last that passed is guaranteed (fixed-sequence testing: an error is made only where the first net whose drop
is too large passes, which happens with probability delta at most).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from onnxbound.bounds.paired_drop import accuracy_drop_limit
from onnxbound.compressors.paired_logits import PairedLogits

Net = TypeVar("Net")


@dataclass(frozen=True, slots=True)
class Changed:
    """Rows on which a compressed net decides otherwise than the original.

    Attributes:
        rows: All that were looked at.
        worse: Right before and wrong after.
        better: Wrong before and right after.
        drop: (worse - better) / rows.
        limit: Were this the only net put to the test, the drop on new rows would be at most this, with the confidence
            that was asked for; null where the rows were searched.
        right: Rows that the original gets right.
    """

    rows: int
    worse: int
    better: int
    drop: float
    limit: float | None
    right: int | None = None

    @classmethod
    def of(cls, found: PairedLogits, delta: float | None = None) -> Self:
        """From both nets' margins; with a delta, of rows that nobody has seen."""
        before, after = found.margin_before > 0, found.margin_after > 0
        rows, worse, better = len(before), int(np.sum(before & ~after)), int(np.sum(after & ~before))
        limit = None if delta is None else accuracy_drop_limit(worse, better, rows, delta)
        return cls(rows, worse, better, (worse - better) / rows, limit, int(np.sum(before)))


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What is known of the drop in accuracy on new rows.

    Attributes:
        max_drop: The largest that was asked for.
        confidence: 1 - delta.
        limit: The drop on new rows is at most this, with this confidence; null without test rows.
        held: Whether that is what was asked for; null without test rows.
        measured: On the test rows; on training rows set apart where there are none.
    """

    max_drop: float
    confidence: float
    limit: float | None
    held: bool | None
    measured: Changed

    @classmethod
    def of(cls, max_drop: float, delta: float, measured: Changed, tests: Sequence[Changed] = ()) -> Self:
        """What rows say, after the tests that were made in their order; without any, of this net alone."""
        limit = limit_of(tests, max_drop) if tests else measured.limit
        return cls(max_drop, 1 - delta, limit, None if limit is None else limit <= max_drop, measured)


def may_pass(rows: int, max_drop: float, delta: float) -> bool:
    """Whether so many test rows guarantee the drop if none of them changes."""
    return rows > 0 and accuracy_drop_limit(0, 0, rows, delta) <= max_drop


def foreseen(changed: Changed, rows: int, max_drop: float, delta: float) -> float:
    """The limit that so many test rows would give if they changed as often; the drop where they decide nothing.

    One row more counts as worse than was seen, since few rows may show none by chance.
    """
    if not may_pass(rows, max_drop, delta):
        return changed.drop
    worse, better = (round(count * rows / changed.rows) for count in (changed.worse + 1, changed.better))
    worse = min(worse, rows)
    return accuracy_drop_limit(worse, min(better, rows - worse), rows, delta)


def put_to_the_test(
    nets: Sequence[Net], tested: Callable[[Net], Changed], max_drop: float
) -> tuple[Net, list[Changed]]:
    """The last net that passes before one fails, or the first of all, and every test that was made.

    Args:
        nets: In an order that was fixed before the rows were seen.
        tested: Runs one of them on rows that nobody has seen.
        max_drop: A net passes whose limit is at most this.
    """
    best, tests = nets[0], []
    for net in nets:
        tests.append(tested(net))
        if not _passes(tests[-1], max_drop):
            break
        best = net
    return best, tests


def limit_of(tests: Sequence[Changed], max_drop: float) -> float:
    """What holds of the net that `put_to_the_test` chose, with probability 1 - delta (Hsu, Berger 1999).

    If one net's drop is above `max_drop`, what is said can be wrong only where the limit of the first such net is. If
    none is, only the last limit can be wrong. So several tests cost no more than one: where all pass, the largest limit
    holds; where one fails, those before it drop by at most `max_drop`; of the first net, its own limit holds.
    """
    limits = [found.limit for found in tests if found.limit is not None]
    if all(limit <= max_drop for limit in limits):
        return max(limits)
    return limits[0] if len(limits) == 1 else max_drop


def _passes(found: Changed, max_drop: float) -> bool:
    return found.limit is not None and found.limit <= max_drop
