"""What an analysis found: `onnxbound.report/1`, field for field.

The names below are a contract with everyone who reads the JSON: later versions add keys and rename none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np

from onnxbound.bounds.bound import Bound
from onnxbound.bounds.margin import GammaSource
from onnxbound.bounds.norms import SpectralNorm
from onnxbound.results import Statistic, UpperBound
from onnxbound.stability.tables import Samples

SCHEMA = "onnxbound.report/1"


@dataclass(frozen=True, slots=True)
class Tool:
    """What computed the numbers.

    Attributes:
        version: Of onnxbound.
        versions: Of every package a number can depend on.
        device: "cpu" or "cuda:N".
        device_note: How it was chosen; empty if it was asked for by name.
        providers: onnxruntime's execution providers.
        engine: What evaluated the linearised network: "numpy" or "onnxruntime".
        engine_note: How it was chosen; empty if it was asked for by name.
        executor: Where the partitions were computed: "local", or a cluster.
        seconds: Wall time.
        peak_rss_bytes: Largest resident memory of the process; None where the system does not say.
    """

    version: str
    versions: Mapping[str, str]
    device: str
    device_note: str
    providers: tuple[str, ...]
    engine: str
    engine_note: str
    executor: str
    seconds: float
    peak_rss_bytes: int | None


@dataclass(frozen=True, slots=True)
class Model:
    """The model; `parameters` are all trained numbers of the file, `depth` is d."""

    path: str
    sha256: str
    opset: int
    producer: str
    parameters: int
    depth: int
    topology: Literal["chain", "graph"]
    piecewise_linear: bool


@dataclass(frozen=True, slots=True)
class Data:
    """The training set S.

    Attributes:
        path: Its file.
        sha256: Over the rows used, before preprocessing.
        rows: m.
        measured_rows: n, the rows behind the Jacobian properties.
        classes: K.
        train_error: Share of the m rows without a positive margin.
        test_error: The same on the test set; None without one.
        largest_input_norm: max |x| over the m rows, which the norm-based capacities leave out.
        sub_sampling_zeta: Share of the m rows for which extremes read off the n rows may fail, at confidence
            1 - delta / 3; of all rows measured, those that zeta took or that have an undefined property.
    """

    path: str
    sha256: str
    rows: int
    measured_rows: int
    classes: int
    train_error: float
    test_error: float | None
    largest_input_norm: float
    sub_sampling_zeta: float


@dataclass(frozen=True, slots=True)
class Margin:
    """The margins of S and the gamma that the bounds use; gamma is None where no row has a positive margin."""

    gamma: float | None
    gamma_source: GammaSource
    min: float | None
    q05: float | None
    median: float | None
    max: float | None
    loss_at_gamma: float | None
    max_logit_norm: float


@dataclass(frozen=True, slots=True)
class MinimalCushion:
    """Minimal interlayer cushion, clipped at 1/sqrt(h) and not; the second is None for the last layer."""

    clipped: Statistic | None
    unclipped: Statistic | None


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One weighted layer; `effective_parameters` is q_i, `compression_percent` 100 q_i / parameters."""

    index: int
    name: str
    op: str
    weight_shape: tuple[int, ...]
    parameters: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    output_shape: tuple[int, ...]
    frobenius_norm: float
    spectral_norm: SpectralNorm
    stable_rank: float | None
    layer_cushion: Statistic | None
    contraction: Statistic | None
    between_contraction: Statistic | None
    noise_sensitivity: Statistic | None
    beta: Statistic | None
    smoothness_inverse: Statistic | None
    minimal_interlayer_cushion: MinimalCushion
    effective_parameters: float | None
    compression_percent: float | None


@dataclass(frozen=True, slots=True)
class PairReport:
    """One pair of layers with a path; `smoothness_holds` says whether every probe had rho >= 3d."""

    source: int
    target: int
    method: Literal["exact", "hutchinson"]
    interlayer_cushion: Statistic | None
    jacobian_norm: Statistic | None
    smoothness_inverse: Statistic | None
    smoothness_holds: bool | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the file the numbers speak of.

    Attributes:
        nodes: Nodes of the file.
        weighted_layers: Weighted layers, all of them measured.
        normalised: What was folded, taken out or rewritten, in words.
        stripped_head: What was stripped behind the logits; None if nothing.
        rows_with_ties: Measured rows at which a gate has no derivative.
        rows_rounded_otherwise: Of a net that rounds, measured rows whose logits differ between onnxbound's evaluation
            and onnxruntime's, because a value lies on the edge of two steps.
    """

    nodes: int
    weighted_layers: int
    normalised: tuple[str, ...]
    stripped_head: str | None
    rows_with_ties: int
    rows_rounded_otherwise: int = 0


@dataclass(frozen=True, slots=True)
class ClassReport:
    """The rows of one label.

    Attributes:
        label: The class.
        rows: How many of the m rows have it.
        train_error: Share of them without a positive margin.
        margin_min: Smallest margin.
        margin_median: Median margin.
        layer_cushion_min: Smallest cushion per layer, (d,); None where it is undefined on all of them.
    """

    label: int
    rows: int
    train_error: float
    margin_min: float | None
    margin_median: float | None
    layer_cushion_min: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class WorstRow:
    """A row of the data file: 0-based place, label, margin, and its smallest layer cushion with the layer."""

    index: int
    label: int
    margin: float | None
    layer_cushion: float | None
    layer: int


@dataclass(frozen=True, slots=True)
class WorstRows:
    """As many as `--worst` asks for, the worst first."""

    smallest_margin: tuple[WorstRow, ...] = ()
    smallest_cushion: tuple[WorstRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """`onnxbound.report/1`: everything that the JSON holds."""

    tool: Tool
    model: Model
    data: Data
    settings: Mapping[str, Any]
    margin: Margin
    layers: tuple[LayerReport, ...]
    pairs: tuple[PairReport, ...]
    bounds: tuple[Bound, ...]
    coverage: Coverage
    warnings: tuple[str, ...]
    per_class: tuple[ClassReport, ...] = ()
    worst: WorstRows = WorstRows()

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; what is not finite is null."""
        names = [field.name for field in fields(ReportDocument)]
        return {"schema": SCHEMA} | {name: plain(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(ReportDocument):
    """Everything an analysis found; `samples` are the per-row arrays, which the JSON leaves out."""

    samples: Samples


def plain(value: Any) -> Any:
    """A value as JSON has it: dataclasses as objects, tuples as arrays, numbers that are not finite as null.

    >>> plain((1, float("inf"), UpperBound(2.0, "proved")))
    [1, None, 2.0]
    """
    if isinstance(value, UpperBound):
        return plain(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
