"""`onnxbound compress`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import STDOUT, ModelOutputOptions, OptionalRowOptions

if TYPE_CHECKING:
    from onnxbound.compressors.budget import Budget
    from onnxbound.compressors.compress import Method

METHODS = ("matrix-project", "matrix-project-conv", "svd", "vector-compress", "vector-project", "quantise")

Init = Annotated[Path | None, typer.Option(metavar="MODEL", help="Compress the distance from this initialisation.")]
Codes = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write seeds and integers, for decompress.")]
Layers = Annotated[list[str] | None, typer.Option("--layer", metavar="NAME", help="Only this layer; repeatable.")]
_CONSTANTS = typer.Option(metavar="explicit|paper", help="k with a proved constant, or the paper's.")
_ETA = typer.Option(metavar="P", help="Probability with which an algorithm may miss its epsilon.")
_WIDTH = typer.Option(metavar="B", help="Bits of a number of a factor of svd; 32 by default.")
_FACTORISE = typer.Option("--factorise", help="Write a truncated layer as two where that saves work.")
_EPSILON = typer.Option(metavar="E", help="Budget: the error of Algorithm 1, 3 or 4.")
_CUT = typer.Option(metavar="D", help="Budget: singular values below D |A|_2 go.")
_ENERGY = typer.Option(metavar="SHARE", help="Budget: share of |A|_F^2 that stays.")


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """By which algorithm."""

    method: Annotated[str, typer.Option(metavar="|".join(METHODS), help="The algorithm.")] = field()
    constants: Annotated[str, _CONSTANTS] = "explicit"
    eta: Annotated[float, _ETA] = 0.05
    width: Annotated[int | None, _WIDTH] = None
    subspace: Annotated[str, typer.Option(metavar="auto|haar|hadamard", help="Of matrix-project-conv.")] = "auto"
    filter_cap: Annotated[str, typer.Option(metavar="SIZE", help="What filters per position may take.")] = "256MiB"

    def chosen(self, seed: int, threads: int | None) -> "Method":
        """As `compress` takes them."""
        from onnxbound.cli.values import bytes_of
        from onnxbound.compressors.compress import Method

        given = {name: value for name, value in vars(self).items() if name != "method" and value != "auto"}
        given["filter_cap"] = bytes_of("--filter-cap", self.filter_cap)
        return Method(self.method, seed=seed, threads=threads, **given)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """What else is done and said."""

    factorise: Annotated[bool, _FACTORISE] = False
    sweep: Annotated[bool, typer.Option("--sweep", help="Try other budgets, and say where accuracy breaks.")] = False
    gamma_quantile: Annotated[float, typer.Option(metavar="Q", help="The margin of losses: this quantile.")] = 0.05
    delta: options.Delta = 0.05
    measured: Annotated[int, typer.Option(metavar="N", help="Rows behind errors at layers, cushions and q.")] = 100
    device: options.Device = "auto"
    threads: options.Threads = None


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """How far: one of these."""

    epsilon: Annotated[float | None, _EPSILON] = None
    k: Annotated[int | None, typer.Option("--k", metavar="K", help="Budget: projections.")] = None
    rank: Annotated[int | None, typer.Option(metavar="R", help="Budget: rank.")] = None
    keep: Annotated[str | None, typer.Option(metavar="SHARE", help="Budget: of the numbers, 10% or 0.1.")] = None
    gamma: Annotated[float | None, typer.Option(metavar="G", help="Budget: a margin that survives.")] = None
    cut: Annotated[float | None, _CUT] = None
    energy: Annotated[str | None, _ENERGY] = None
    bits: Annotated[int | None, typer.Option(metavar="B", help="Budget: bits of one weight.")] = None
    target_accuracy_drop: Annotated[str | None, typer.Option(metavar="SHARE", help="Budget: search, 0.5%, say.")] = None

    def chosen(self) -> "tuple[Budget | None, float | None]":
        """The budget, or the share of the rows by which accuracy may fall."""
        from onnxbound.cli.values import share_of
        from onnxbound.compressors.budget import Budget
        from onnxbound.errors import UsageError

        given = {name: value for name, value in vars(self).items() if value is not None}
        flags = {name: f"--{name.replace('_', '-')}" for name in given}
        if len(given) > 1:
            raise UsageError("usage", f"compress takes one budget, not {', '.join(flags.values())}.")
        for name, value in given.items():
            number = share_of(flags[name], value) if isinstance(value, str) else float(value)
            return (None, number) if name == "target_accuracy_drop" else (Budget(name, number), None)  # type: ignore[arg-type]
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
    layer: Layers = None,
    init: Init = None,
    codes: Codes = None,
) -> None:
    """Compress a classifier, write it as ONNX, and say what that did to outputs, accuracy, size and time."""
    from onnxbound.compressors.request import Request
    from onnxbound.errors import UsageError
    from onnxbound.verbs.compress import compress as compressed

    if result.output == STDOUT:
        raise UsageError("usage", "compress writes a file, and says on stdout what it did: give -o OUT.onnx.")
    algorithm, (limit, drop) = method.chosen(rows.seed, request.threads), budget.chosen()
    settings = Request(algorithm, limit, drop, tuple(layer or ()), **vars(request))
    result.require_writable(codes)
    network, place, force = rows.network(model), result.output, result.force
    train = None if rows.data is None else rows.rows(network)
    with result.progress() as progress:
        done = compressed(network, train, place, settings, init=init, codes=codes, force=force, progress=progress)
    result.show(done)
