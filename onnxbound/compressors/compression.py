"""What a compression did: `onnxbound.compression/1`, field for field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from onnxbound.bounds.bound import Bound
from onnxbound.bounds.gamma import GammaSource
from onnxbound.compressors.compressed import MethodName
from onnxbound.compressors.guarantee import Guarantee
from onnxbound.compressors.smallest import Attempt
from onnxbound.documents.viewed import Viewed
from onnxbound.words import percent

if TYPE_CHECKING:
    from onnxbound.report.view import View


@dataclass(frozen=True, slots=True)
class Spread:
    """A number per row, over the rows where it is defined; null where it is on none."""

    median: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """A number of the original and of the compressed net."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class CompressedLayerReport:
    """One weight; layers that share it are one entry.

    Attributes:
        name: Of the first layer that has it.
        indices: 1-based numbers of the layers that have it.
        method: What was done; "kept" if nothing.
        reason: Why it was kept; empty if it was not.
        parameters_before: Entries of A.
        parameters_after: Numbers that describe A^.
        bits_before: Of A and its biases as they are.
        bits_after: Of the description, header and biases included.
        epsilon_asked: Error of Algorithm 1 that was asked for.
        epsilon_realised: Largest |J (A^ - A) a| / (|A|_F |J|_F |a|) over the sample rows, what Lemma 2 is about.
        lemma_2_holds: Whether it is at most what was asked for.
        relative_error: |(A^ - A) a| / |x| over the sample rows.
        effective_parameters: q_i of the theory, of the first layer; null where it was not measured.
    """

    name: str
    indices: tuple[int, ...]
    method: MethodName | Literal["kept"]
    reason: str
    parameters_before: int
    parameters_after: int
    bits_before: int
    bits_after: int
    epsilon_asked: float | None
    epsilon_realised: float | None
    lemma_2_holds: bool | None
    relative_error: Spread | None
    effective_parameters: float | None


@dataclass(frozen=True, slots=True)
class OutputChange:
    """|f(x) - g(x)| / |f(x)| at the logits, over `rows` rows of `source`: the user's data, or normal noise."""

    relative_error: Spread
    rows: int
    source: Literal["data", "noise"]


@dataclass(frozen=True, slots=True)
class MarginLoss:
    """L_gamma: the share of rows with a margin of at most gamma."""

    gamma: float
    gamma_source: GammaSource
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class MarginQuantiles:
    """The margins of one net over the rows."""

    min: float
    q05: float
    median: float
    max: float


@dataclass(frozen=True, slots=True)
class Margins:
    """The distribution of margins before and after."""

    before: MarginQuantiles
    after: MarginQuantiles


@dataclass(frozen=True, slots=True)
class Held:
    """One form of compressibility on S: whether it held on every row, and on how many it did not."""

    held: bool
    violations: int


@dataclass(frozen=True, slots=True)
class Compressibility:
    """Three ways in which g can be said to stand for f at margin gamma.

    Attributes:
        per_logit: |f(x)[y] - g(x)[y]| <= gamma / 2 for every y.
        in_norm: |f(x) - g(x)|_2 <= gamma / sqrt 2.
        own_errors: g errs on no more rows than have a margin of at most gamma under f; violations are g's errors.
    """

    per_logit: Held
    in_norm: Held
    own_errors: Held


@dataclass(frozen=True, slots=True)
class FileReport:
    """The file that was written.

    Attributes:
        path: Where.
        sha256: Its hash.
        bytes_before: Of the original, external data included.
        bytes_after: Of the new one, external data included.
        codes_bytes: Of the file of codes; null without one.
        checker_before: Whether `onnx.checker` takes the original.
        checker_after: Whether it takes the new one.
        analysable: Whether onnxbound can analyse the new one; one with filters per position it cannot.
        numpy_difference: Largest difference between onnxruntime on the file and NumPy on the compressed net, over the
            largest logit.
        factorised: Layers that were written as two.
    """

    path: str
    sha256: str
    bytes_before: int
    bytes_after: int
    codes_bytes: int | None
    checker_before: bool
    checker_after: bool
    analysable: bool
    numpy_difference: float
    factorised: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowCost:
    """What a row costs.

    Attributes:
        multiply_adds: Of the weighted layers as written.
        milliseconds: Of onnxruntime per row, the median of alternating rounds.
        ratio: The median of after to before over the rounds.
        ratio_low: The median lies above this, and
        ratio_high: below this, with 96 % confidence where rounds are independent; with 1 between them no difference is
            measurable.
        rows: Rows per round.
    """

    multiply_adds: BeforeAfter
    milliseconds: BeforeAfter
    ratio: float
    ratio_low: float
    ratio_high: float
    rows: int


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One budget of a sweep, and what is left of the accuracy."""

    knob: str
    value: float
    parameters: int
    bits: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class BudgetSweep:
    """Budgets from the tightest to the widest.

    Attributes:
        points: Each with its accuracy.
        rows: Rows behind each.
        accuracy_before: Of the original on them.
        tolerated_drop: Share of the rows that may be lost.
        breaks_below: The smallest budget from which on no accuracy beyond that is lost; null if none suffices.
    """

    points: tuple[SweepPoint, ...]
    rows: int
    accuracy_before: float
    tolerated_drop: float
    breaks_below: SweepPoint | None


@dataclass(frozen=True, slots=True, repr=False)
class Compression(Viewed):
    """Everything that a compression did; what needs rows is null without them."""

    SCHEMA: ClassVar[str] = "onnxbound.compression/1"

    method: MethodName
    settings: Mapping[str, Any]
    seed: int
    model: str
    rows: int | None
    layers: tuple[CompressedLayerReport, ...]
    parameters: BeforeAfter
    bits: BeforeAfter
    output: OutputChange
    accuracy: BeforeAfter | None
    margin_loss: MarginLoss | None
    margins: Margins | None
    compressibility: Compressibility | None
    file: FileReport
    work: RowCost
    bounds: tuple[Bound, ...]
    sweep: BudgetSweep | None
    tried: tuple[Attempt, ...]
    fine_tuned: bool
    guarantee: Guarantee | None
    warnings: tuple[str, ...]
    seconds: float
    training_rows: int | None = None
    """All that were given; `rows` may be a sample of them."""

    def summary(self) -> str:
        seen = self.accuracy
        accuracy = "" if seen is None else f", accuracy {percent(seen.before)} to {percent(seen.after)}"
        size = f"{self.file.bytes_before:,} bytes to {self.file.bytes_after:,}"
        held = None if self.guarantee is None else self.guarantee.held
        sure = "" if held is None else ", guaranteed" if held else ", NOT GUARANTEED"
        return f"of {self.model} by {self.method}: {size}{accuracy}{sure}"

    def view(self) -> "View":
        from onnxbound.report.of_compression import compression_view

        return compression_view(self)
