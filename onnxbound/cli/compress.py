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


_MAX_DROP = "Largest drop in accuracy, by default 0.5%; an algorithm then searches its budget."


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """The algorithm."""

    method: str = option("|".join(METHODS), "A format or an algorithm.", "smallest", autocompletion=_methods)
    fastest: bool = option(None, "Write the fastest file, measured on this machine.", False)
    constants: str = option("explicit|paper", "The proved constant of k, or the paper's.", "explicit")
    eta: float = option("P", "Probability that an algorithm misses its epsilon.", 0.05)
    width: int | None = option("B", "Bits of each number in the factors of svd; by default 32.")
    block: int = option("N", "Weights of a unit that share a scale with int4-weights; 0: all.", 0)
    fine_tune: bool = option(None, "Fit the net to its labels after int8-weights or int4-weights.", False)
    subspace: str = option("auto|haar|hadamard", "The random subspace of matrix-project-conv.", "auto")
    filter_cap: str = option("SIZE", "Largest size of the filters of matrix-project-conv.", "256MiB")

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

    factorise: bool = option(None, "Write a truncated layer as two where that saves work.", False)
    sweep: bool = option(None, "Try other budgets, and show where accuracy breaks.", False)
    gamma_quantile: float = option("Q", "The quantile of the margins that is gamma.", 0.05)
    bounds: bool = option(None, "Analyse the original too, and state bounds.", False)
    delta: options.Delta = 0.05
    measured: int = option("N", "Rows on which errors at layers, cushions and q are measured.", 100)
    device: options.Device = "auto"
    threads: options.Threads = None


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """The budget: at most one of these."""

    epsilon: float | None = option("E", "Budget: error of Algorithm 1, 3 or 4.")
    k: int | None = option("K", "Budget: projections.")
    rank: int | None = option("R", "Budget: rank.")
    keep: str | None = option("SHARE", "Budget: share of the numbers that stays, 10% or 0.1.")
    gamma: float | None = option("G", "Budget: a margin that the error stays within.")
    cut: float | None = option("D", "Budget: drop singular values below D |A|_2.")
    energy: str | None = option("SHARE", "Budget: share of |A|_F^2 that stays.")
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
    test: Path | None = option("FILE", "Rows that neither net has seen; they guarantee the accuracy."),
    layer: list[str] | None = option("NAME", "Compress only this layer; repeatable.", autocompletion=_layers),
    init: Path | None = option("MODEL", "Compress the difference from this initialisation."),
    codes: Path | None = option("FILE", "Also write an entropy code for decompress; the search minimises it."),
) -> None:
    """Write a classifier as a smaller ONNX file that keeps its accuracy."""
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
