"""Options that belong together, declared once as a dataclass and taken by every verb that needs them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbound.cli import options
from onnxbound.cli.options import REQUIRED, option

if TYPE_CHECKING:
    from onnxbound.analysis.settings import Settings
    from onnxbound.data.conventions import Conventions
    from onnxbound.data.open import InputSpec
    from onnxbound.data.rows import Rows
    from onnxbound.graph.network import Network
    from onnxbound.graph.passes.fix_lengths import RowShape

_DATA = "The training set: .npz, .npy, .h5, .parquet, .arrow or a folder of images."
_NOISE = "Gaussian noise with R times the norm of the signal, or the noise of compression."
_FORM = "affine: signals include biases; linear: they do not, as in Arora et al. 2018."


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How the net's file is to be read."""

    conventions: Path | None = option("FILE", "Options saved by --save-conventions; explicit options override them.")
    logits: str | None = option("NAME", "The tensor that holds the logits, if the model has several outputs.")
    fix: list[str] | None = option("NAME=VALUE", "Set an input to a constant: a number or an .npy file; repeatable.")
    input_shape: str | None = option("N,...", "Shape of one row, without the batch axis, if the model leaves it open.")
    external_root: Path | None = option("DIR", "Another folder from which the model may load weights.")

    def said(self) -> "Conventions":
        """Read the file of conventions; options override its entries."""
        from onnxbound.cli.values import held_inputs, lengths_of
        from onnxbound.data.conventions import Conventions, read_conventions

        file = Conventions() if self.conventions is None else read_conventions(self.conventions)
        lengths = lengths_of("--input-shape", self.input_shape)
        return file.but(logits=self.logits, input_shape=lengths, fixed={**file.fixed, **held_inputs(self.fix or [])})

    def network(self, model: Path, rows: Path | None = None, *, by_file: bool = False) -> "Network":
        """Load a model.

        Args:
            model: Its file.
            rows: Rows that give the lengths that the model leaves open; the training set if None.
            by_file: Whether only the names in the file decide which array holds the rows.
        """
        from onnxbound.graph.load import load

        found = self.said().of_model()
        if found["input_shape"] is None:
            found["input_shape"] = self.lengths(rows, by_file=by_file)
        return load(model, **found, external_root=self.external_root)

    def lengths(self, rows: Path | None, *, by_file: bool) -> "RowShape":
        """Return the source of open lengths that no option gives: None here, rows in subclasses."""
        return None


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Where the training set has its inputs and labels; other files are read in the same way as far as possible."""

    data: Path | None = option("FILE", _DATA)
    labels: Path | None = option("FILE", "Labels in an .npy file; they replace those in --data.")
    labels_start: int | None = option("N", "Label of the first class; by default the model's own (certificates: 0).")
    x_key: str | None = option("KEY", "The array or column with the inputs.")
    y_key: str | None = option("KEY", "The array or column with the labels.")


@dataclass(frozen=True, kw_only=True)
class WholeFileOptions(ModelOptions, LabelOptions):
    """Where the rows are, how they are preprocessed, and how the net's file is read."""

    layout: str | None = option("nchw|nhwc|flat", "The file's layout, if the model has another; flat: reshape rows.")
    scale: str | None = option("S", "First multiply inputs by S, such as 1/255.")
    mean: str | None = option("M,...", "Then subtract M: one number, or one per channel.")
    std: str | None = option("S,...", "Then divide by S: one number, or one per channel.")

    def said(self) -> "Conventions":
        names = ("layout", "scale", "mean", "std", "labels_start", "x_key", "y_key")
        return super().said().but(**{name: getattr(self, name) for name in names})

    def of_training(self, labels: Path | None = None) -> dict[str, Any]:
        """Return the arguments of `open_rows` for the training set, with its own labels or others."""
        said = self.said()
        keys = {"labels_start": said.labels_start, "x_key": said.x_key, "y_key": said.y_key}
        return {"labels": labels or self.labels, **keys}

    def of_others(self, path: Path | None) -> dict[str, Any]:
        """Return them for other rows. In the file of the training set, `x_key` and `y_key` do not apply."""
        how = self.of_training() | {"role": "test"}
        same = path is not None and self.data is not None and path.resolve() == self.data.resolve()
        left_out = ("labels", "x_key", "y_key") if same else ("labels",)
        return {name: value for name, value in how.items() if name not in left_out}

    def lengths(self, rows: Path | None, *, by_file: bool) -> "RowShape":
        from onnxbound.data.lengths import row_lengths

        said, file = self.said(), rows or self.data
        if file is None:
            return None
        how = self.of_training() if file == self.data else self.of_others(file)
        keys = {name: how[name] for name in ("x_key", "role") if name in how}
        return lambda name, dims: row_lengths(file, "" if by_file else name, dims, said.layout, **keys)


@dataclass(frozen=True, kw_only=True)
class OptionalRowOptions(WholeFileOptions):
    """The same, and which of the rows."""

    limit: int | None = option("N", "Use a uniform sample of N rows.")
    seed: int = option("N", "The seed of all random choices.", 0)

    def rows(self, network: "Network", labels: Path | None = None, reader: "InputSpec | None" = None) -> "Rows":
        """Open the training set, which must be given, with its own labels or others."""
        from onnxbound.errors import DataError
        from onnxbound.run.trial import tried

        assert self.data is not None
        data, how = self.data, self.of_training(labels) | {"limit": self.limit}

        def opened(suggested: Mapping[str, Any]) -> "Rows":
            return self._open(data, reader or network, suggested, **how)

        try:
            return opened({})
        except DataError as error:
            raise tried(error, network, opened) from error

    def test_rows(self, network: "InputSpec", path: Path, *, labelled: bool = True) -> "Rows":
        """Open a whole test set, or other rows than those of training, in the same way."""
        from onnxbound.errors import DataError

        try:
            return self._open(path, network, {}, **self.of_others(path), labelled=labelled)
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
    """The same where the training set is required."""

    data: Path = option("FILE", _DATA, REQUIRED)


@dataclass(frozen=True, kw_only=True)
class NoiseOptions:
    """The number of rows, and the noise."""

    measured: str = option("N|all|auto", "Measure Jacobians and noise effects on N rows; auto: at most 1000.", "auto")
    probes: str = option("N|auto|exact", "Noise vectors per layer and row (auto: 4 to 64), or exact Jacobians.", "auto")
    noise: str = option("gaussian:R|compression", _NOISE, "gaussian:0.1")
    threads: options.Threads = None

    def settings(self, seed: int, **more: Any) -> "Settings":
        """Return the settings as verbs take them."""
        from onnxbound.analysis.settings import Settings
        from onnxbound.cli.values import count_or_word, noise_of

        own = {entry.name: getattr(self, entry.name) for entry in fields(Settings) if hasattr(self, entry.name)}
        counts = {name: count_or_word(own[name]) for name in ("measured", "probes")}
        return Settings(**own | counts | noise_of(self.noise) | {"seed": seed} | more)


@dataclass(frozen=True, kw_only=True)
class MeasureOptions(NoiseOptions):
    """What is measured, and by what."""

    form: str = option("affine|linear", _FORM, "affine")
    pairs: str = option("all|output", "All pairs of layers, or only pairs with the output.", "all")
    gamma: float | None = option("G", "The margin that the bounds use.")
    gamma_quantile: float = option("Q", "Without --gamma, use this quantile of the margins.", 0.05)
    delta: options.Delta = 0.05
    zeta: float = option("Z", "Share of rows that may violate a bound's conditions; added to the bound.", 0.0)
    device: options.Device = "auto"
    engine: str = option("auto|numpy|onnxruntime", "Engine for Jacobians and smoothness; auto: the faster one.", "auto")
    precision: str = option(
        "auto|float32",
        "auto: on a GPU, use half precision if it is faster and changes estimates by at most 0.1 %.",
        "auto",
    )
    memory: str = option("SIZE", "Memory that the process may use, such as 2GiB.", "2GiB")

    def settings(self, seed: int, **more: Any) -> "Settings":
        from onnxbound.cli.values import bytes_of

        return super().settings(seed, memory=bytes_of("--memory", self.memory), **more)
