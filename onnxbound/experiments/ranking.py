"""Capacities against the measured gaps of several nets of one task, or along the checkpoints of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from onnxbound.analysis.result import Report
from onnxbound.analysis.settings import Settings
from onnxbound.documents.viewed import Viewed
from onnxbound.experiments.kendall import RankCorrelation, kendall
from onnxbound.experiments.nets import Net, Subject, describe, reports, shared_warnings
from onnxbound.experiments.paired import clopper_pearson
from onnxbound.stability.catalogue import PLOTTED
from onnxbound.stability.collect import Progress, silent
from onnxbound.version import __version__

if TYPE_CHECKING:
    from onnxbound.report.view import View

_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Standing:
    """One net, or one checkpoint.

    Attributes:
        net: What it is, with its capacities.
        test_error: Share of the test rows without a positive margin.
        test_rows: Number of test rows.
        gap: test_error - train_error.
        gap_low: Lower end of a 95 % interval, from the test rows alone.
        gap_high: Its upper end.
        medians: By the topic of each plotted property, its median over the rows, one per layer. In JSON they are keys
            of the object itself.
    """

    net: Net
    test_error: float
    test_rows: int
    gap: float
    gap_low: float
    gap_high: float
    medians: Mapping[str, tuple[float | None, ...]] = field(metadata={"keys": tuple(p.topic.name for p in PLOTTED)})


@dataclass(frozen=True, slots=True)
class Ranked:
    """How well one capacity orders the nets by their gaps."""

    capacity: str
    correlation: RankCorrelation
    rescaled: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Ranking(Viewed):
    """Capacities of several nets beside their gaps, `onnxbound.ranking/1`.

    Attributes:
        version: Of onnxbound.
        data: The training set.
        test: The test set.
        form: "affine" or "linear".
        seed: Of rows and noise.
        standings: In the order given.
        capacities: Rank correlations. `rescaled` is sqrt(capacity / m) times a factor per capacity such that its
            largest value is the largest gap, as in [A] Fig. 4 right.
        warnings: With the names of the nets they are about.
    """

    SCHEMA: ClassVar[str] = "onnxbound.ranking/1"

    version: str
    data: str
    test: str
    form: str
    seed: int
    standings: tuple[Standing, ...]
    capacities: tuple[Ranked, ...]
    warnings: tuple[str, ...]

    def summary(self) -> str:
        return f"of {', '.join(standing.net.name for standing in self.standings)} on {self.data}"

    def view(self) -> "View":
        from onnxbound.experiments.views import ranking_view

        return ranking_view(self)

    def to_dataframe(self, table: Literal["standings", "capacities"] = "standings") -> Any:
        """Return a part of the ranking as a pandas DataFrame; needs pandas.

        Args:
            table: The nets with their gaps and capacities, or each capacity's rank correlation.

        Raises:
            UsageError: There is no such table, or pandas is not installed.
        """
        from onnxbound.report.dataframe import dataframe

        index = {"standings": ["net.name"], "capacities": ["capacity"]}
        return dataframe(table, index, self.to_json().get(table, ()))


@dataclass(frozen=True, slots=True, repr=False)
class Track(Ranking):
    """The same along the checkpoints of one net, `onnxbound.track/1`."""

    SCHEMA: ClassVar[str] = "onnxbound.track/1"


def rank(
    subjects: Sequence[Subject],
    names: Sequence[str],
    settings: Settings,
    *,
    checkpoints: bool = False,
    progress: Progress = silent,
) -> Ranking:
    """Analyse every net and correlate its capacities with its gap.

    Args:
        subjects: Nets with training and test rows.
        names: What they are called.
        settings: What to measure.
        checkpoints: Whether they are checkpoints of one net: their values depend on one another, so correlations
            get no interval.
        progress: Called with (stage, rows done, rows in all).
    """
    standings, warnings = [], {}
    for report, subject, name in zip(reports(subjects, settings, progress), subjects, names, strict=True):
        standings.append(_standing(report, subject, name))
        warnings[name] = report.warnings
    gaps = [standing.gap for standing in standings]
    test = subjects[0].test_rows
    assert test is not None
    return (Track if checkpoints else Ranking)(
        version=__version__,
        data=str(subjects[0].rows.path),
        test=str(test.path),
        form=settings.form,
        seed=settings.seed,
        standings=tuple(standings),
        capacities=tuple(
            _ranked(name, standings, gaps, checkpoints=checkpoints) for name in standings[0].net.log10_capacities
        ),
        warnings=shared_warnings(warnings),
    )


def gap(test_error: float, test_rows: int, train_error: float, train_rows: int) -> float:
    """Compute test_error - train_error from the counts, so that equal gaps are equal floats.

    >>> 0.3 - 0.1 == 0.7 - 0.5, gap(0.3, 10, 0.1, 10) == gap(0.7, 10, 0.5, 10)
    (False, True)
    """
    tested, trained = Fraction(round(test_error * test_rows), test_rows), round(train_error * train_rows)
    return float(tested - Fraction(trained, train_rows))


def _standing(report: Report, subject: Subject, name: str) -> Standing:
    error, count = report.data.test_error, report.data.test_rows
    assert error is not None
    assert count is not None
    low, high = clopper_pearson(round(error * count), count, _ALPHA)
    return Standing(
        net=describe(report, name, str(subject.rows.path)),
        test_error=error,
        test_rows=count,
        gap=gap(error, count, report.data.train_error, report.data.rows),
        gap_low=low - report.data.train_error,
        gap_high=high - report.data.train_error,
        medians={
            prop.topic.name: tuple(s.median if (s := layer.statistics[prop.name]) else None for layer in report.layers)
            for prop in PLOTTED
        },
    )


def _ranked(name: str, standings: Sequence[Standing], gaps: Sequence[float], *, checkpoints: bool) -> Ranked:
    logs = [standing.net.log10_capacities[name] for standing in standings]
    known = [(log, gap) for log, gap in zip(logs, gaps, strict=True) if log is not None]
    correlation = kendall([log for log, _ in known], [gap for _, gap in known])
    if checkpoints:
        correlation = RankCorrelation(correlation.tau, None, None, correlation.values)
    largest = max((log for log, _ in known), default=0.0)
    top = max(*gaps, 0.0)
    rescaled = tuple(None if log is None else top * sqrt(10.0 ** (log - largest)) for log in logs)
    return Ranked(name, correlation, rescaled)
