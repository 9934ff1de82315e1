"""Options that belong together, declared once as a dataclass and taken by every verb that needs them."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from onnxbound.cli import options
from onnxbound.cli.options import Format, chosen_format

if TYPE_CHECKING:
    from onnxbound.data.open import Reader
    from onnxbound.data.preprocessing import Preprocessing
    from onnxbound.data.rows import Rows
    from onnxbound.graph.network import Network
    from onnxbound.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How the net's file is to be read."""

    logits: options.Logits = None
    fix: options.Fix = None
    external_root: options.ExternalRoot = None

    def network(self, model: Path) -> "Network":
        """Load a model."""
        from onnxbound.cli.values import held_inputs
        from onnxbound.graph.load import load

        return load(model, logits=self.logits, fixed=held_inputs(self.fix or []), external_root=self.external_root)


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Where the inputs and labels of a file are. Of the training set; other files are read alike as far as they can."""

    data: options.OptionalData = None
    labels: options.Labels = None
    labels_start: options.LabelsStart = 0
    x_key: options.XKey = None
    y_key: options.YKey = None

    def of_training(self, labels: Path | None = None) -> dict[str, Any]:
        """What `open_rows` takes of them for the training set, with its own labels or others."""
        return {
            "labels": labels or self.labels,
            "labels_start": self.labels_start,
            "x_key": self.x_key,
            "y_key": self.y_key,
        }

    def of_others(self, path: Path) -> dict[str, Any]:
        """The same for rows of another role; in the file of the training set itself the keys are those of that."""
        if self.data is not None and path.resolve() == self.data.resolve():
            return {"role": "test", "labels_start": self.labels_start}
        return {"role": "test", "labels_start": self.labels_start, "x_key": self.x_key, "y_key": self.y_key}


@dataclass(frozen=True, kw_only=True)
class WholeFileOptions(ModelOptions, LabelOptions):
    """Where rows are, what is done to them before the net sees them, and how the net's file is to be read."""

    layout: options.LayoutOption = None
    scale: options.Scale = None
    mean: options.Mean = None
    std: options.Std = None

    def preprocessing(self) -> "Preprocessing":
        """What the options say about the data."""
        from onnxbound.cli.values import preprocessing_of

        return preprocessing_of(self.layout, self.scale, self.mean, self.std)


@dataclass(frozen=True, kw_only=True)
class OptionalRowOptions(WholeFileOptions):
    """The same, and which of the rows."""

    limit: options.Limit = None
    seed: options.Seed = 0

    def rows(self, network: "Reader", labels: Path | None = None) -> "Rows":
        """The training set, which has to be given, with its own labels or others."""
        from onnxbound.data.open import open_rows

        assert self.data is not None
        found = {**self.of_training(labels), "limit": self.limit, "seed": self.seed}
        return open_rows(self.data, network, self.preprocessing(), **found)

    def test_rows(self, network: "Reader", path: Path, *, labelled: bool = True) -> "Rows":
        """All of a test set, or of other rows than those of training, read in the same way."""
        from onnxbound.data.open import open_rows

        found = {**self.of_others(path), "labelled": labelled, "seed": self.seed}
        return open_rows(path, network, self.preprocessing(), **found)


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
        from onnxbound.cli.values import bytes_of, count_or, noise_of, one_of
        from onnxbound.settings import Settings

        return Settings(
            form=one_of("--form", self.form, ("affine", "linear")),
            measured=None if self.measured == "all" else count_or("--measured", self.measured, "all"),
            probes="exact" if self.probes == "exact" else count_or("--probes", self.probes, "exact"),
            pairs=one_of("--pairs", self.pairs, ("all", "output")),
            **noise_of(self.noise),
            gamma=self.gamma,
            gamma_quantile=self.gamma_quantile,
            delta=self.delta,
            zeta=self.zeta,
            seed=seed,
            device=self.device,
            threads=self.threads,
            engine=one_of("--engine", self.engine, ("auto", "numpy", "onnxruntime")),
            memory=bytes_of("--memory", self.memory),
            worst=worst,
        )


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """How the result is printed, and where it goes."""

    output_format: options.FormatOption = Format.TABLE
    as_json: options.Json = False
    output: options.Output = None
    plots: options.Plots = None
    force: options.Force = False
    quiet: options.Quiet = False
    verbose: options.Verbose = False
    debug: options.Debug = False

    @property
    def format(self) -> Format:
        """The format that --format and --json together ask for."""
        return chosen_format(self.output_format, as_json=self.as_json)

    def require_writable(self, *others: Path | None) -> None:
        """Complain before anything is computed about outputs that cannot be written."""
        from onnxbound.cli.output import require_outputs
        from onnxbound.cli.plots import require_plots

        require_outputs([self.output, *others], force=self.force)
        require_plots(self.plots, force=self.force)


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb as typer sees it: a parameter whose type is one of the dataclasses above stands for all its fields.

    >>> @grouped
    ... def verb(model: Path, rows: RowOptions) -> None: ...
    >>> list(inspect.signature(verb).parameters)[:3]
    ['model', 'data', 'labels']
    """
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind) and isinstance(kind, type)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name not in groups:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        kind = groups[parameter.name]
        field_hints = get_type_hints(kind, include_extras=True)
        for entry in fields(kind):
            default = inspect.Parameter.empty if entry.default is MISSING else entry.default
            parameters.append(
                inspect.Parameter(
                    entry.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field_hints[entry.name]
                )
            )

    def flat(**given: Any) -> None:
        taken = {
            name: kind(**{entry.name: given.pop(entry.name) for entry in fields(kind)}) for name, kind in groups.items()
        }
        verb(**given, **taken)

    ordered = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    flat.__name__, flat.__doc__ = verb.__name__, verb.__doc__
    flat.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
    return flat
