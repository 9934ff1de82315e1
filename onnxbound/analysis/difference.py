"""What changed between two reports."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from onnxbound.analysis.result import Report
from onnxbound.documents.paths import flatten
from onnxbound.documents.viewed import Viewed

if TYPE_CHECKING:
    from onnxbound.report.view import View

_LEFT_ASIDE = re.compile(r"tool\.(?:seconds|peak_rss_bytes)|settings\.time|.*\.met_reason")
"""Entries that differ between two runs of the same command, sentences about numbers that stand beside them, and the
time that was allowed: what it changes, the number of rows, is compared."""

_OF_ERRORS = re.compile(r"data\.(?:train|test)_error|bounds\.(?:theorem-2\.2|theorem-4\.1|holdout)\.value")
"""Numbers of which a larger one is worse. The gap is none: a better net may have a larger one."""


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs between two reports.

    Attributes:
        name: As in conditions and CSV.
        before: Its value in the first report; None where it is null or not there.
        after: Its value in the second, likewise.
        relative: (after - before) / |before|; None where one of them is no number, or before is 0.
    """

    name: str
    before: Any
    after: Any
    relative: float | None

    @property
    def is_share(self) -> bool:
        """Whether it is an error, a bound on the error or the gap, which people read in percent."""
        return self.name == "data.gap" or bool(_OF_ERRORS.fullmatch(self.name))

    @property
    def worse(self) -> bool:
        """Whether it is an error, or a bound on the error below 1, and has become larger, or can no longer be said."""
        if not _OF_ERRORS.fullmatch(self.name) or self.before is None or self.before >= 1:
            return False
        return self.after is None or bool(self.after > self.before)


@dataclass(frozen=True, slots=True, repr=False)
class Difference(Viewed):
    """`onnxbound.difference/1`.

    Attributes:
        before: The first report's model.
        after: The second's.
        same_data: Whether both reports are about the same rows.
        tolerance: Relative change from which on a number counts as changed.
        compared: How many values were compared.
        changes: What changed, in the order of the report.
    """

    SCHEMA: ClassVar[str] = "onnxbound.difference/1"

    before: str
    after: str
    same_data: bool
    tolerance: float
    compared: int
    changes: tuple[Change, ...]

    @property
    def worse(self) -> tuple[Change, ...]:
        """The changes for the worse."""
        return tuple(change for change in self.changes if change.worse)

    def summary(self) -> str:
        return f"of {self.before} and {self.after}: {len(self.changes):,} of {self.compared:,} values changed"

    def view(self) -> "View":
        from onnxbound.report.of_difference import difference_view

        return difference_view(self)


def difference(before: Report, after: Report, tolerance: float) -> Difference:
    """Compare two reports value by value, without running times.

    Args:
        before: The first report.
        after: The second.
        tolerance: Relative changes up to this one do not count.
    """
    first, second = dict(flatten(before.to_json())), dict(flatten(after.to_json()))
    names = [name for name in dict.fromkeys([*first, *second]) if not _LEFT_ASIDE.fullmatch(name)]
    return Difference(
        before=before.model.path,
        after=after.model.path,
        same_data=before.data.sha256 == after.data.sha256,
        tolerance=tolerance,
        compared=len(names),
        changes=tuple(_changes(names, first, second, tolerance)),
    )


def _changes(
    names: list[str], first: Mapping[str, Any], second: Mapping[str, Any], tolerance: float
) -> Iterator[Change]:
    for name in names:
        x, y = first.get(name), second.get(name)
        relative = _relative(x, y)
        if x != y and (relative is None or abs(relative) > tolerance):
            yield Change(name, x, y, relative)


def _relative(x: Any, y: Any) -> float | None:
    if isinstance(x, bool) or isinstance(y, bool) or not isinstance(x, int | float) or not isinstance(y, int | float):
        return None
    result = (y - x) / abs(x) if x else float("inf")
    return result if isfinite(result) else None
