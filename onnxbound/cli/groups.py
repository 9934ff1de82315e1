"""Options that belong together, declared once as a dataclass and taken by every verb that needs them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from onnxbound.cli import options
from onnxbound.cli.options import Format, chosen_format

if TYPE_CHECKING:
    from onnxbound.analysis.settings import Settings
    from onnxbound.data.conventions import Conventions
    from onnxbound.data.open import InputSpec
    from onnxbound.data.rows import Rows
    from onnxbound.documents.document import Document
    from onnxbound.graph.network import Network
    from onnxbound.progress import Display
    from onnxbound.report.figures.figure import Figure

STDOUT = Path("-")


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How the net's file is to be read."""

    conventions: options.ConventionsOption = None
    logits: options.Logits = None
    fix: options.Fix = None
    external_root: options.ExternalRoot = None

    def said(self) -> "Conventions":
        """What the file of conventions says, and over it the options."""
        from onnxbound.cli.values import held_inputs
        from onnxbound.data.conventions import Conventions, read_conventions

        file = Conventions() if self.conventions is None else read_conventions(self.conventions)
        return file.but(logits=self.logits, fixed={**file.fixed, **held_inputs(self.fix or [])})

    def network(self, model: Path) -> "Network":
        """Load a model."""
        from onnxbound.graph.load import load

        return load(model, **self.said().of_model(), external_root=self.external_root)


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Where the inputs and labels of a file are. Of the training set; other files are read alike as far as they can."""

    data: options.OptionalData = None
    labels: options.Labels = None
    labels_start: options.LabelsStart = None
    x_key: options.XKey = None
    y_key: options.YKey = None

    def under(self, said: "Conventions") -> Self:
        """The same, with what a file of conventions says where no option does."""
        own = said.but(labels_start=self.labels_start, x_key=self.x_key, y_key=self.y_key)
        return replace(self, labels_start=own.labels_start, x_key=own.x_key, y_key=own.y_key)

    def of_training(self, labels: Path | None = None) -> dict[str, Any]:
        """What `open_rows` takes of them for the training set, with its own labels or others."""
        keys = {"x_key": self.x_key, "y_key": self.y_key}
        return {"labels": labels or self.labels, "labels_start": self.labels_start, **keys}

    def of_others(self, path: Path | None) -> dict[str, Any]:
        """The same for rows of another role; in the file of the training set itself the keys are those of that."""
        if path is not None and self.data is not None and path.resolve() == self.data.resolve():
            return {"role": "test", "labels_start": self.labels_start}
        return {"role": "test", "labels_start": self.labels_start, "x_key": self.x_key, "y_key": self.y_key}


@dataclass(frozen=True, kw_only=True)
class WholeFileOptions(ModelOptions, LabelOptions):
    """Where rows are, what is done to them before the net sees them, and how the net's file is to be read."""

    layout: options.LayoutOption = None
    scale: options.Scale = None
    mean: options.Mean = None
    std: options.Std = None

    def said(self) -> "Conventions":
        from onnxbound.cli.values import numbers_of

        numbers = numbers_of(scale=self.scale, mean=self.mean, std=self.std)
        keys = {"labels_start": self.labels_start, "x_key": self.x_key, "y_key": self.y_key}
        return super().said().but(layout=self.layout, **numbers, **keys)


@dataclass(frozen=True, kw_only=True)
class OptionalRowOptions(WholeFileOptions):
    """The same, and which of the rows."""

    limit: options.Limit = None
    seed: options.Seed = 0

    def rows(self, network: "Network", labels: Path | None = None, reader: "InputSpec | None" = None) -> "Rows":
        """The training set, which has to be given, with its own labels or others."""
        from onnxbound.errors import DataError
        from onnxbound.run.trial import tried

        assert self.data is not None
        data, training = self.data, self.under(self.said()).of_training(labels)

        def opened(suggested: Mapping[str, Any]) -> "Rows":
            return self._open(data, reader or network, suggested, **training, limit=self.limit)

        try:
            return opened({})
        except DataError as error:
            raise tried(error, network, opened) from error

    def test_rows(self, network: "InputSpec", path: Path, *, labelled: bool = True) -> "Rows":
        """All of a test set, or of other rows than those of training, read in the same way."""
        from onnxbound.errors import DataError

        try:
            return self._open(path, network, {}, **self.under(self.said()).of_others(path), labelled=labelled)
        except DataError as error:
            if self.data is not None:  # the training set fits, and would not with other options
                error.suggestion = {}
            raise

    def _open(self, path: Path, network: "InputSpec", suggested: Mapping[str, Any], **more: Any) -> "Rows":
        from onnxbound.data.open import open_rows

        keys = {name: value for name, value in suggested.items() if name in more}
        how = replace(self.said(), **suggested).preprocessing
        return open_rows(path, network, how, **more | keys, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class RowOptions(OptionalRowOptions):
    """The same where the training set has to be given."""

    data: options.Data = field()


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What is measured, and by what."""

    form: options.Form = "affine"
    measured: options.Measured = "1000"
    probes: options.Probes = "4"
    pairs: options.Pairs = "all"
    noise: options.Noise = "gaussian:0.1"
    gamma: options.Gamma = None
    gamma_quantile: options.GammaQuantile = 0.05
    delta: options.Delta = 0.05
    zeta: options.Zeta = 0.0
    device: options.Device = "auto"
    threads: options.Threads = None
    engine: options.Engine = "auto"
    memory: options.Memory = "2GiB"

    def settings(self, seed: int, worst: int = 0) -> "Settings":
        """As `analyze` takes them."""
        from onnxbound.analysis.settings import Settings
        from onnxbound.cli.values import bytes_of, count_or_word, noise_of

        given = vars(self) | {name: count_or_word(getattr(self, name)) for name in ("measured", "probes")}
        given |= {"memory": bytes_of("--memory", self.memory), **noise_of(self.noise)}
        return Settings(**given, seed=seed, worst=worst)


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How the result is printed, and where it goes."""

    output_format: options.FormatOption = None
    as_json: options.Json = False
    output: options.Output = None
    force: options.Force = False
    quiet: options.Quiet = False
    debug: options.Debug = False
    pages: ClassVar[bool] = False
    """Whether the result has a page."""

    def __post_init__(self) -> None:
        assert self.format  # or an error, before anything is done

    @property
    def target(self) -> Path | None:
        """The file that the result goes to; None is stdout."""
        return None if self.output == STDOUT else self.output

    @property
    def format(self) -> Format:
        """The format that --format, --json and the name of the file together ask for."""
        return chosen_format(self.output_format, as_json=self.as_json, output=self.target, pages=self.pages)

    @contextmanager
    def progress(self, kept: Path | None = None) -> "Iterator[Display]":
        """Show progress on stderr, where that is a terminal.

        Args:
            kept: Folder of the run, which an interrupted one is resumed from.

        Raises:
            InterruptionError: The user stopped what ran inside.
        """
        from onnxbound.errors import InterruptionError
        from onnxbound.progress import Display

        with Display(shown=not self.quiet) as display:
            try:
                yield display
            except KeyboardInterrupt:
                raise InterruptionError(display.under_way(), kept) from None

    def require_writable(self, *others: Path | None) -> None:
        """Complain before anything is computed about outputs that cannot be written."""
        from onnxbound.documents.files import require_writable

        for path in (self.output, *others):
            if path is not None and path != STDOUT:
                require_writable(path, force=self.force)

    def say(self, messages: Iterable[str]) -> None:
        """Say something on stderr, unless --quiet was given."""
        from onnxbound.cli.output import tell

        if not self.quiet:
            tell(messages)

    def show(self, document: "Document", *, verbose: bool = False) -> None:
        """Print a result or write it; on stderr its warnings, where no table or page on stdout has them.

        A result whose file cannot be written after all is printed, so that the work is not lost.

        Raises:
            OutputError: output-exists or output-unwritable.
        """
        from onnxbound.cli.output import deliver, text_of
        from onnxbound.errors import OutputError

        if self.target is not None or self.format in (Format.JSON, Format.CSV):
            self.say(getattr(document, "warnings", ()))
        text = text_of(document, self.format, to_file=self.target is not None, verbose=verbose)
        try:
            deliver(text, self.target, force=self.force)
        except OutputError:
            if self.target is not None:
                deliver(text, None, force=False)
            raise


@dataclass(frozen=True, kw_only=True)
class ModelOutputOptions(OutputOptions):
    """The same where -o is the model to write, and stdout says what was done."""

    output: options.ModelOutput = field()

    @property
    def target(self) -> None:
        """Stdout."""
        return


@dataclass(frozen=True, kw_only=True)
class ResultOptions(OutputOptions):
    """The same for results that have long tables and figures."""

    plots: options.Plots = None
    verbose: options.Verbose = False

    def require_writable(self, *others: Path | None) -> None:
        from onnxbound.cli.plots import require_plots

        super().require_writable(*others)
        require_plots(self.plots, force=self.force)

    def draw(self, figures: "Callable[[], Sequence[Figure]]") -> list[Path]:
        """Write the figures, if they are asked for."""
        from onnxbound.cli.plots import write_plots

        return [] if self.plots is None else write_plots(figures(), self.plots, force=self.force)


@dataclass(frozen=True, kw_only=True)
class ReportOptions(ResultOptions):
    """The same for reports, which have pages."""

    pages: ClassVar[bool] = True
