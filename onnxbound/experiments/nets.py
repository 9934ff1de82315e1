"""Several nets, analysed one after another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onnxbound.analysis import budget
from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.plan import plan
from onnxbound.analysis.result import Analysis, Report
from onnxbound.analysis.settings import Settings
from onnxbound.data.rows import Rows
from onnxbound.errors import as_option
from onnxbound.graph.network import Network
from onnxbound.run.device import resolve_device
from onnxbound.stability.collect import Progress


@dataclass(frozen=True, slots=True)
class Subject:
    """A net with its rows."""

    network: Network
    rows: Rows
    test_rows: Rows | None = None

    @property
    def sets(self) -> list[Rows]:
        """The training set, and the test set where there is one."""
        return [self.rows] if self.test_rows is None else [self.rows, self.test_rows]


@dataclass(frozen=True, slots=True)
class Net:
    """A net in a comparison.

    Attributes:
        name: Short, and different for each.
        path: Its file.
        sha256: Of the file.
        labels: The file of the labels, or of the data set that holds them.
        parameters: Every trained number.
        depth: d.
        rows: m.
        train_error: Share of the m rows without a positive margin.
        gamma: The margin of the capacities.
        log10_capacities: Decimal logarithm of each capacity as plotted; None where it is undefined.
        test_error: Share of the test rows without a positive margin; None without a test set.
        estimated: The capacities that are computed from estimates.
        doubts: The warnings that a verdict begins with, as in its report.
        preprocessing: What is done to a row first, in words.
        test: The file of the test rows; None without any.
    """

    name: str
    path: str
    sha256: str
    labels: str
    parameters: int
    depth: int
    rows: int
    train_error: float
    gamma: float | None
    log10_capacities: dict[str, float | None]
    test_error: float | None = None
    estimated: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    preprocessing: str = ""
    test: str | None = None


def reports(subjects: Sequence[Subject], settings: Settings, progress: Progress) -> Iterator[Analysis]:
    """Analyse each net at as many rows as there is time for with the slowest net."""
    asked, there = settings, subjects
    subjects = _passed_in_time(subjects, settings)
    dear = [s for s in subjects if budget.needs_trial(s.network, s.rows.count, settings)]
    if dear:
        planned = (plan(subject.network, subject.rows, settings).measured_rows for subject in dear)
        settings = replace(settings, measured=min(planned))
    for number, (whole, subject) in enumerate(zip(there, subjects, strict=True)):
        progress("nets", number, len(subjects))
        found = analyze(subject.network, subject.rows, settings, test_rows=subject.test_rows, progress=progress)
        shortened = budget.in_words(asked, settings, whole.sets, subject.sets)
        yield replace(found, warnings=(*found.warnings, *shortened))
    progress("nets", len(subjects), len(subjects))


def _passed_in_time(subjects: Sequence[Subject], settings: Settings) -> list[Subject]:
    """Return all sets of rows as they are, or samples as small as the smallest that any net has time for."""
    device = resolve_device(settings.device)
    passed = [budget.passed_in_time(s.network, s.sets, settings, device) for s in subjects]
    pairs = [zip(subject.sets, sets, strict=True) for subject, sets in zip(subjects, passed, strict=True)]
    samples = [
        min((sample.count for rows, sample in column if sample.count < rows.count), default=None)
        for column in zip(*pairs, strict=True)
    ]

    def shortened(sets: Sequence[Rows]) -> Iterator[Rows]:
        for rows, sample in zip(sets, samples, strict=True):
            yield rows if sample is None else rows.sample(sample, settings.seed)

    return [Subject(subject.network, *shortened(subject.sets)) for subject in subjects]


def shared_warnings(warnings: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """List every warning once, with the names of the nets it is about.

    >>> shared_warnings({"a": ["few rows", "tied"], "b": ["few rows"]})
    ('all nets: few rows', 'a: tied')
    """
    names: dict[str, list[str]] = {}
    for name, said in warnings.items():
        for warning in said:
            names.setdefault(warning, []).append(name)
    return tuple(
        f"{'all nets' if 1 < len(of) == len(warnings) else ', '.join(of)}: {warning}" for warning, of in names.items()
    )


def describe(report: Report, name: str, labels: str) -> Net:
    """Describe a net by its report."""
    how = report.settings.get("preprocessing") or {}
    capacities = [bound for bound in report.bounds if bound.kind == "as_plotted"]
    return Net(
        name=name,
        path=report.model.path,
        sha256=report.model.sha256,
        labels=labels,
        parameters=report.model.parameters,
        depth=report.model.depth,
        rows=report.data.rows,
        train_error=report.data.train_error,
        test_error=report.data.test_error,
        gamma=report.margin.gamma,
        log10_capacities={bound.name: bound.log10 for bound in capacities},
        estimated=tuple(bound.name for bound in capacities if bound.basis == "estimated"),
        doubts=report.doubts,
        preprocessing=", ".join(f"{name} {as_option(value)}" for name, value in how.items() if value is not None),
        test=report.data.test_path,
    )


def short_names(paths: list[Path]) -> list[str]:
    """Name nets by their files, and number equal names.

    >>> short_names([Path("a/net_1.onnx"), Path("a/net_2.onnx")]), short_names([Path("a.onnx"), Path("b/a.onnx")])
    (['net_1', 'net_2'], ['a', 'a (2)'])
    """
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        seen[path.stem] = seen.get(path.stem, 0) + 1
        names.append(path.stem if seen[path.stem] == 1 else f"{path.stem} ({seen[path.stem]})")
    return names
