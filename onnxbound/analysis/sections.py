"""The sections of a report, key for key; the names are a contract: later versions add keys and rename none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Literal

from onnxbound.bounds.gamma import GammaSource
from onnxbound.bounds.norms import SpectralNorm
from onnxbound.documents.document import nested
from onnxbound.results import Basis, Statistic
from onnxbound.stability.catalogue import OF_LAYERS, OF_PAIRS

Statistics = Mapping[str, Statistic | None]
"""Name of a property to its distribution over the rows; None where it is undefined on all of them."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What computed the numbers.

    Attributes:
        version: Of onnxbound.
        versions: Of every package a number can depend on.
        device: "cpu" or "cuda:N".
        device_note: How it was chosen; empty if it was asked for by name.
        providers: onnxruntime's execution providers.
        engine: What evaluated the linearised network: "numpy", "onnxruntime", or "onnxruntime-half" with
            tangents and deviations multiplied by weights in half precision.
        engine_note: How it was chosen; empty if it was asked for by name.
        executor: Where the partitions were computed: "local", "processes" or "dask".
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
    """The model; `parameters` are all trained numbers of the file, `depth` is d, `sha256` is `Network.sha256`."""

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
        test_error: The same share of the test rows; None without a test set.
        gap: test_error - train_error; None without a test set.
        largest_input_norm: max |x| over the m rows, which the norm-based capacities leave out.
        sub_sampling_zeta: Share of the m rows on which an extreme over the n rows may not hold, with confidence 1 -
            delta / 3. If all rows were measured, the share that zeta left out or that has an undefined property.
        test_rows: Number of test rows behind test_error; None without a test set.
        test_path: Their file.
        rows_in_file: Rows of the training set in the file; more than `rows` where these are a sample.
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
    test_rows: int | None = None
    test_path: str | None = None
    rows_in_file: int | None = None
    gap: float | None = None

    @property
    def is_sample(self) -> bool:
        """Whether not all rows of the file were used."""
        return self.rows_in_file is not None and self.rows_in_file > self.rows


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


class _WithStatistics:
    """Statistics as attributes: `layer.layer_cushion.min`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        statistics: Statistics = {} if name == "statistics" else self.statistics
        if name in statistics:
            return statistics[name]
        branch = nested({key: value for key, value in statistics.items() if key.startswith(f"{name}.")})
        if not branch:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return SimpleNamespace(**branch[name])

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(key.split(".")[0] for key in self.statistics)})


@dataclass(frozen=True, slots=True)
class ErrorUnderNoise:
    """A share of rows under some draws of noise: its mean over the draws, and the standard error of that mean."""

    mean: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class LayerReport(_WithStatistics):
    """One weighted layer.

    Attributes:
        index: i, 1-based.
        name: The node's name, or its output's.
        op: ONNX operator.
        weight_shape: Shape of A^i.
        parameters: Entries of A^i.
        kernel: Kernel lengths; empty for a dense layer.
        stride: Strides; empty for a dense layer.
        output_shape: Shape of one row of x^i.
        frobenius_norm: |A^i|_F.
        spectral_norm: Three numbers about |A^i|_2.
        stable_rank: |A|_F^2 / |A|_2^2 of the weight as a matrix; None for a zero weight.
        statistics: Every property of layers, by name; also attributes of this object and keys of its JSON.
        effective_parameters: q_i; None where it is undefined.
        compression_percent: 100 q_i / parameters.
        basis: Whether q_i follows from exact values alone, or also from estimates.
        error_under_weight_noise: Share of rows without a positive margin if only this layer's weights are noisy;
            `Report.weight_noise` describes the noise.
    """

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
    statistics: Statistics = field(metadata={"keys": tuple(prop.name for prop in OF_LAYERS)})
    effective_parameters: float | None
    compression_percent: float | None
    error_under_weight_noise: ErrorUnderNoise | None = None
    basis: Basis = "measured"


@dataclass(frozen=True, slots=True)
class PairReport(_WithStatistics):
    """One pair of layers with a path between them.

    Attributes:
        source: Layer i.
        target: Layer j.
        method: How |J|_F was measured.
        statistics: Every property of pairs, by name; also attributes of this object and keys of its JSON.
        smoothness_holds: Whether every probe had rho >= 3d.
    """

    source: int
    target: int
    method: Literal["exact", "hutchinson"]
    statistics: Statistics = field(metadata={"keys": tuple(prop.name for prop in OF_PAIRS)})
    smoothness_holds: bool | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the file the numbers are about.

    Attributes:
        nodes: Nodes of the file.
        weighted_layers: Weighted layers, all of them measured.
        normalised: What was folded, taken out or rewritten, in words.
        stripped_head: What was stripped behind the logits; None if nothing.
        rows_with_ties: Measured rows at which a gate has no derivative.
        rows_rounded_otherwise: Measured rows on which onnxbound and onnxruntime round a value between two steps
            differently, in a net that rounds.
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
    """A row of the data file: 0-based place, label, margin, its smallest layer cushion with the layer, and the answer.

    Attributes:
        predicted: The class of the largest logit; None in reports of earlier versions.
    """

    index: int
    label: int
    margin: float | None
    layer_cushion: float | None
    layer: int
    predicted: int | None = None


@dataclass(frozen=True, slots=True)
class WorstRows:
    """The worst rows, the worst first; `Settings.worst` says how many."""

    smallest_margin: tuple[WorstRow, ...] = ()
    smallest_cushion: tuple[WorstRow, ...] = ()


NO_ROWS = WorstRows()


@dataclass(frozen=True, slots=True)
class WeightNoise:
    """The noise under which errors were counted, layer by layer.

    Attributes:
        radius: |dA|_F / |A^i|_F.
        draws: Draws of noise per layer.
        rows: Number of rows that were tried.
        error_without_noise: Share of them without a positive margin if no weight is noisy.
    """

    radius: float
    draws: int
    rows: int
    error_without_noise: float
