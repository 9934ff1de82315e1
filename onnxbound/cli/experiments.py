"""`onnxbound noise`, `compare`, `track` and `rank`: the experiments of the paper on other nets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import MeasureOptions, NoiseOptions, RowOptions
from onnxbound.cli.options import REQUIRED, argument, option
from onnxbound.cli.output_options import ResultOptions

if TYPE_CHECKING:
    from onnxbound.data.rows import Rows
    from onnxbound.graph.network import Network

_MODELS = "ONNX files; MODEL:FILE reads a model by its own --conventions file, not by --scale and the like."
_CHECKPOINTS = "ONNX files in training order; write MODEL:FILE to give one its own --conventions file."


_OF_ONE: dict[str, Any] = dict.fromkeys(("layout", "scale", "mean", "std", "logits", "fix", "input_shape"))
"""Options that say how one net reads its rows; a file of its own replaces them all."""


@dataclass(frozen=True, kw_only=True)
class RowsOfSeveral(RowOptions):
    """The same for several nets, whose labels may differ."""

    labels_for: list[str] | None = option("N=FILE", "The labels (.npy) that the N-th model was trained on; repeatable.")

    def opened(self, models: list[Path], test: Path | None) -> "list[tuple[Network, Rows, Rows | None]]":
        """Open every net with its rows and its test set, before anything is computed."""
        from onnxbound.cli.values import split_conventions
        from onnxbound.errors import DataError, UsageError

        labels = {}
        for text in self.labels_for or []:
            number, equals, file = text.partition("=")
            if not (equals and file and number.isdecimal() and 1 <= int(number) <= len(models)):
                raise UsageError("usage", f"--labels-for takes N=FILE with N from 1 to {len(models)}, not {text!r}.")
            labels[int(number)] = Path(file)
        opened: list[tuple[Network, Rows, Rows | None]] = []
        for place, (model, conventions) in enumerate(map(split_conventions, models), start=1):
            own = self if conventions is None else replace(self, conventions=conventions, **_OF_ONE)
            network = own.network(model)
            try:
                rows = own.rows(network, labels.get(place))
            except DataError as error:
                error.message = f"For {model}: {error.message}"
                if opened:  # the rows of earlier nets fit, and would not with other options
                    error.suggestion = {}
                raise
            opened.append((network, rows, None if test is None else own.test_rows(network, test)))
        return opened


@grouped
def noise(model: options.ModelArgument, rows: RowOptions, sample: NoiseOptions, result: ResultOptions) -> None:
    """Add noise to the input of each layer, and measure the error at later layers (Arora et al. 2018, Fig. 1)."""
    from onnxbound.verbs.experiments import noise as attenuated

    settings = sample.settings(rows.seed)
    result.require_writable()
    with result.progress() as progress:
        network = rows.network(model)
        attenuation = attenuated(network, rows.rows(network), settings, progress=progress)
    result.show(attenuation)
    result.draw(attenuation)


@dataclass(frozen=True, kw_only=True)
class SeveralOptions(ResultOptions, MeasureOptions, RowsOfSeveral):
    """The options of verbs about several nets."""

    test: ClassVar[Path | None] = None

    def run(self, verb: Callable[..., Any], models: list[Path]) -> None:
        """Open everything, call a verb, and show what it returns."""
        settings = self.settings(self.seed)
        self.require_writable()
        with self.progress() as progress:
            networks, own, tests = zip(*self.opened(models, self.test), strict=True)
            tested = {} if self.test is None else {"test_rows": tests}
            outcome = verb(networks, own, settings=settings, progress=progress, **tested)
        self.show(outcome)
        self.draw(outcome)


@dataclass(frozen=True, kw_only=True)
class ComparedOptions(SeveralOptions):
    """The same where a test set may be given."""

    test: Path | None = option("FILE", "A test set, for the test errors and their differences.")  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class TestedOptions(SeveralOptions):
    """The same with a test set, for gaps."""

    test: Path = option("FILE", "A test set, to measure the generalisation gap.", REQUIRED)  # type: ignore[misc]


@grouped
def compare(*, models: list[Path] = argument("MODEL...", _MODELS), several: ComparedOptions) -> None:
    """Compare the noise stability of several nets on the same rows (Arora et al. 2018, Fig. 2, 3, A.1 to A.7)."""
    from onnxbound.verbs.experiments import compare as compared

    several.run(compared, models)


@grouped
def track(*, models: list[Path] = argument("CHECKPOINT...", _CHECKPOINTS), several: TestedOptions) -> None:
    """Show how capacities and the generalisation gap change over checkpoints (Arora et al. 2018, Fig. 4 right)."""
    from onnxbound.verbs.experiments import track as tracked

    several.run(tracked, models)


@grouped
def rank(*, models: list[Path] = argument("MODEL...", _MODELS), several: TestedOptions) -> None:
    """Test how well each capacity predicts which nets of one task have larger generalisation gaps."""
    from onnxbound.verbs.experiments import rank as ranked

    several.run(ranked, models)
