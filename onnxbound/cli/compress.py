"""`onnxbound compress`."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import OptionalRowOptions
from onnxbound.cli.options import option
from onnxbound.cli.output_options import STDOUT, ModelOutputOptions

if TYPE_CHECKING:
    from onnxbound.compressors.budget import Budget
    from onnxbound.compressors.method import Method

FORMATS = ("smallest", "fastest", "int8", "int8-weights", "int4-weights", "fp16")
METHODS = (*FORMATS, "matrix-project", "matrix-project-conv", "svd", "vector-compress", "vector-project", "quantise")


def _methods(incomplete: str) -> list[str]:
    return [name for name in METHODS if name.startswith(incomplete)]


def _layers(context: typer.Context, incomplete: str) -> list[str]:
    """Names of layers, if the model on the command line can be read."""
    from onnxbound.errors import OnnxboundError
    from onnxbound.graph.load import load

    names: list[str] = []
    for model in context.args[:1]:  # the parser stops at --layer without a value, and leaves the model here
        with suppress(OnnxboundError):
            names = [layer.name for layer in load(model).layers]
    return [name for name in names if name.startswith(incomplete)]


_METHOD = "smallest and fastest search for the best file; the others are number formats or algorithms."
_CONSTANTS = "Compute the number of projections with the proved constant, or with the paper's."
_MAX_DROP = "Largest drop in accuracy, by default 0.5%. Algorithms take it instead of a budget."


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """The algorithm."""

    method: str = option("|".join(METHODS), _METHOD, "smallest", autocompletion=_methods)
    fastest: bool = option(None, "Short for --method fastest: write the file that runs fastest on this machine.", False)
    constants: str = option("explicit|paper", _CONSTANTS, "explicit")
    eta: float = option("P", "Largest probability that an algorithm's error exceeds its epsilon.", 0.05)
    width: int | None = option("B", "With svd: bits per number of the factors; by default 32.")
    block: int = option("N", "With int4-weights: number of weights per scale; 0: one scale per output unit.", 0)
    fine_tune: bool = option(None, "With int8-weights or int4-weights: fine-tune the rounded net.", False)
    subspace: str = option("auto|haar|hadamard", "With matrix-project-conv: how to draw the random subspace.", "auto")
    filter_cap: str = option("SIZE", "With matrix-project-conv: largest size of a layer's filters.", "256MiB")

    def chosen(self, seed: int, threads: int | None) -> "Method":
        """Return the method as `compress` takes it."""
        from onnxbound.cli.values import bytes_of
        from onnxbound.compressors.method import Method
        from onnxbound.errors import UsageError

        if self.fastest and self.method != "smallest":
            raise UsageError("usage", f"compress takes --fastest or --method {self.method}, not both.")
        others = {name: value for name, value in vars(self).items() if name not in ("method", "fastest")}
        given = {name: value for name, value in others.items() if value != "auto"}
        given["filter_cap"] = bytes_of("--filter-cap", self.filter_cap)
        return Method("fastest" if self.fastest else self.method, seed=seed, threads=threads, **given)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """What else is computed."""

    factorise: bool = option(None, "With svd: write a layer as two layers where that saves multiply-adds.", False)
    sweep: bool = option(None, "Also try other budgets, and show which of them keep the accuracy.", False)
    gamma_quantile: float = option("Q", "Compute losses and bounds at this quantile of the margins.", 0.05)
    bounds: bool = option(None, "Also analyse the original net, and bound the error of the compressed one.", False)
    delta: options.Delta = 0.05
    measured: int = option("N", "Measure cushions and the errors of layers on N rows.", 100)
    device: options.Device = "auto"
    threads: options.Threads = None


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """The budget: at most one of these."""

    epsilon: float | None = option("E", "Budget: the error that an algorithm of the paper may make.")
    k: int | None = option("K", "Budget: number of random projections.")
    rank: int | None = option("R", "Budget: rank of each layer.")
    keep: str | None = option("SHARE", "Budget: share of the numbers to keep, such as 10% or 0.1.")
    gamma: float | None = option("G", "Budget: by theory, no decision with a margin above G may change.")
    cut: float | None = option("D", "Budget: drop singular values below D times the largest.")
    energy: str | None = option("SHARE", "Budget: share of the squared Frobenius norm to keep.")
    bits: int | None = option("B", "Budget: bits per weight.")
    max_drop: str | None = option("SHARE", _MAX_DROP)

    def chosen(self) -> "tuple[Budget | None, float | None]":
        """Return the budget, or the share by which accuracy may fall."""
        from onnxbound.cli.values import share_of
        from onnxbound.compressors.budget import Budget
        from onnxbound.errors import UsageError

        given = {name: value for name, value in vars(self).items() if value is not None}
        flags = {name: f"--{name.replace('_', '-')}" for name in given}
        if len(given) > 1:
            raise UsageError("usage", f"compress takes one budget, not {', '.join(flags.values())}.")
        for name, value in given.items():
            number = share_of(flags[name], value) if isinstance(value, str) else float(value)
            return (None, number) if name == "max_drop" else (Budget(name, number), None)  # type: ignore[arg-type]
        return None, None


@grouped
def compress(
    model: options.ModelArgument,
    method: MethodOptions,
    rows: OptionalRowOptions,
    result: ModelOutputOptions,
    budget: BudgetOptions,
    request: RequestOptions,
    *,
    test: Path | None = option("FILE", "Rows that neither net has seen; they prove how far accuracy can fall."),
    layer: list[str] | None = option("NAME", "Compress only this layer; repeatable.", autocompletion=_layers),
    init: Path | None = option("MODEL", "Compress only the difference from this initialisation."),
    codes: Path | None = option("FILE", "Also write an entropy code for decompress; the search minimises its size."),
) -> None:
    """Write a classifier as a smaller ONNX file of about the same accuracy."""
    from onnxbound.compressors.request import Request
    from onnxbound.errors import UsageError
    from onnxbound.verbs.compress import compress as compressed

    if result.output == STDOUT:
        raise UsageError("usage", "compress writes a file, and reports on stdout: give -o OUT.onnx.")
    algorithm, (limit, drop) = method.chosen(rows.seed, request.threads), budget.chosen()
    settings = Request(algorithm, limit, drop, tuple(layer or ()), **vars(request))
    result.require_writable(codes)
    place, force = result.output, result.force
    with result.progress() as progress:
        network = rows.network(model)
        train = None if rows.data is None else rows.rows(network)
        unseen = None if test is None else rows.test_rows(network, test)
        done = compressed(
            network, train, place, settings, test=unseen, init=init, codes=codes, force=force, progress=progress
        )
    result.show(done)
    if done.guarantee is not None and done.guarantee.held is False:
        raise typer.Exit(1)
