"""Distributions of the properties side by side, [A] Fig. 2, 3 and A.1 to A.7."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound.analysis.result import Analysis
from onnxbound.analysis.settings import Settings
from onnxbound.documents.document import plain
from onnxbound.documents.viewed import Viewed
from onnxbound.experiments.error_difference import ErrorDifference, error_differences
from onnxbound.experiments.nets import Net, Subject, describe, reports, shared_warnings
from onnxbound.experiments.paired import Paired, paired
from onnxbound.results import Float64Array, Histogram
from onnxbound.stability.catalogue import PLOTTED
from onnxbound.stability.collect import Progress, silent
from onnxbound.stability.property import Property
from onnxbound.version import __version__

if TYPE_CHECKING:
    from onnxbound.report.view import View

_BINS = 24
_WIDE = 20.0
_ALPHA = 0.05

Samples = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """One property at one layer of every net.

    Attributes:
        property: Name of its topic; `margin` belongs to the whole net, layer 0.
        layer: 1-based.
        medians: One per net; None if the net has no such layer, or if the property is undefined on all rows.
        histograms: One per net, over the same bins, which are equally wide or in equal ratio.
        statements: One per pair of nets. The intervals of all properties hold together with 95 % confidence.
        estimated: Per net, whether the values come from random probes.
    """

    property: str
    layer: int
    medians: tuple[float | None, ...]
    histograms: tuple[Histogram | None, ...]
    statements: tuple[Paired, ...]
    estimated: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Viewed):
    """`onnxbound.comparison/1`.

    Attributes:
        version: Of onnxbound.
        data: The file of the rows.
        measured_rows: n, the rows at which every net was measured.
        form: "affine" or "linear".
        seed: Of rows and noise.
        nets: In the order given.
        properties: Property by property, layer by layer.
        warnings: With the names of the nets they are about.
        error_differences: One per pair of nets; none without a test set that is the same for all nets.
    """

    SCHEMA: ClassVar[str] = "onnxbound.comparison/1"

    version: str
    data: str
    measured_rows: int
    form: str
    seed: int
    nets: tuple[Net, ...]
    properties: tuple[LayerComparison, ...]
    warnings: tuple[str, ...]
    error_differences: tuple[ErrorDifference, ...] = ()

    def summary(self) -> str:
        return f"of {', '.join(net.name for net in self.nets)} at {self.measured_rows:,} rows of {self.data}"

    def view(self) -> "View":
        from onnxbound.experiments.comparison_view import comparison_view

        return comparison_view(self)

    def to_dataframe(self, table: Literal["medians", "statements"] = "medians") -> Any:
        """Return a part of the comparison as a pandas DataFrame; needs pandas.

        Args:
            table: Medians, with a column per net, or what can be said of each pair of nets.

        Raises:
            UsageError: There is no such table, or pandas is not installed.
        """
        from onnxbound.report.dataframe import dataframe

        names = [net.name for net in self.nets]
        entries = [
            {"property": own.property, "layer": own.layer} | part
            for own in self.properties
            for part in (
                map(plain, own.statements) if table == "statements" else [dict(zip(names, own.medians, strict=True))]
            )
        ]
        place = ["property", "layer"]
        return dataframe(table, {"medians": place, "statements": [*place, "first", "second"]}, entries)


def _values(samples: Samples, prop: Property, layer: int) -> Float64Array:
    """Return a property at a layer, (n,); of a property of pairs, the values of the pair with the output."""
    values: Float64Array = samples[prop.name][:, layer - 1]
    return values if prop.per == "layer" else values[:, -1]


def compare(
    subjects: Sequence[Subject], names: Sequence[str], settings: Settings, progress: Progress = silent
) -> Comparison:
    """Measure every net at the same rows.

    Args:
        subjects: Nets whose rows come from one data set, in one order; their labels may differ.
        names: What they are called.
        settings: What to measure.
        progress: Called with (stage, rows done, rows in all).
    """
    nets, measured, kinds, errors, warnings = [], [], [], [], {}
    for report, subject, name in zip(reports(subjects, settings, progress), subjects, names, strict=True):
        nets.append(describe(report, name, str(subject.rows.path)))
        measured.append({key: report.samples[key] for key in report.samples})
        if report.test_errors is not None:
            errors.append(report.test_errors)
        kinds.append({prop.name: _estimated_layers(report, prop) for prop in PLOTTED})
        warnings[name] = report.warnings
    depth = max(net.depth for net in nets)
    places: list[tuple[Property | None, int]] = [(None, 0)]
    places += [(prop, layer) for prop in PLOTTED for layer in range(1, depth + 1)]
    pairs = len(nets) * (len(nets) - 1) // 2
    alpha = _ALPHA / (len(places) * max(pairs, 1))
    layers = (_layer(prop, layer, nets, measured, kinds, alpha) for prop, layer in places)
    return Comparison(
        version=__version__,
        data=str(subjects[0].rows.path),
        measured_rows=len(measured[0]["index"]),
        form=settings.form,
        seed=settings.seed,
        nets=tuple(nets),
        properties=tuple(layer for layer in layers if any(median is not None for median in layer.medians)),
        warnings=shared_warnings(warnings),
        error_differences=error_differences(errors, _ALPHA) if errors and _same_tests(subjects, errors) else (),
    )


def _same_tests(subjects: Sequence[Subject], errors: Sequence[NDArray[np.bool_]]) -> bool:
    """Whether all nets ran on the same test rows, as far as the number of rows and the labels tell."""
    labels = [subject.test_rows.labels for subject in subjects if subject.test_rows is not None]
    return len({len(own) for own in errors}) == 1 and all(np.array_equal(labels[0], own) for own in labels)


def _layer(
    prop: Property | None,
    layer: int,
    nets: Sequence[Net],
    measured: Sequence[Samples],
    kinds: Sequence[Mapping[str, frozenset[int]]],
    alpha: float,
) -> LayerComparison:
    values = [
        _defined(samples["margin"] if prop is None else _values(samples, prop, layer)) if layer <= net.depth else None
        for net, samples in zip(nets, measured, strict=True)
    ]
    edges = _edges([value for value in values if value is not None])
    statements = (
        paired(first, second, (i + 1, j + 1), alpha)
        for (i, first), (j, second) in combinations(enumerate(values), 2)
        if first is not None and second is not None
    )
    return LayerComparison(
        property="margin" if prop is None else prop.topic.name,
        layer=layer,
        medians=tuple(None if value is None else float(np.nanmedian(value)) for value in values),
        estimated=tuple(prop is not None and layer in own[prop.name] for own in kinds),
        histograms=tuple(None if value is None else _histogram(value, edges) for value in values),
        statements=tuple(statement for statement in statements if statement is not None),
    )


def _estimated_layers(report: Analysis, prop: Property) -> frozenset[int]:
    """Return the layers at which a property comes from random probes; of one of pairs, at the pair with the output."""
    if prop.per == "layer":
        known = {layer.index: layer.statistics[prop.name] for layer in report.layers}
    else:
        known = {p.source: p.statistics[prop.name] for p in report.pairs if p.target == report.model.depth}
    return frozenset(index for index, own in known.items() if own is not None and own.kind == "estimated")


def _defined(values: Float64Array) -> Float64Array | None:
    """Return the values, NaN where undefined; None if all are undefined."""
    finite = np.isfinite(values)
    return np.where(finite, values, np.nan) if finite.any() else None


def _edges(values: Iterable[Float64Array]) -> Float64Array:
    """Choose edges of bins that hold every value."""
    known = [(float(np.nanmin(value)), float(np.nanmax(value))) for value in values]
    low, high = min((k[0] for k in known), default=0.0), max((k[1] for k in known), default=1.0)
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        half = 0.005 * max(abs(low), 1e-9)
        low, high = low - half, high + half
    if low > 0 and high > _WIDE * low:
        edges = np.geomspace(low, high, _BINS + 1)
        edges[0], edges[-1] = low, high
        return edges
    return np.linspace(low, high, _BINS + 1)


def _histogram(values: Float64Array, edges: Float64Array) -> Histogram:
    counts, _ = np.histogram(values[np.isfinite(values)], edges)
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))
