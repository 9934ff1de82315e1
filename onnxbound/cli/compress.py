"""`onnxbound compress`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.groups import OptionalRowOptions, grouped
from onnxbound.cli.options import Format, chosen_format, set_threads

if TYPE_CHECKING:
    from onnxbound.compression.document import Compression
    from onnxbound.compressors.budget import Budget

METHODS = ("matrix-project", "matrix-project-conv", "svd", "vector-compress", "vector-project", "quantise")

ModelOutput = Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="The model to write.")]
MethodName = Annotated[str, typer.Option("--method", metavar="|".join(METHODS), help="The algorithm.")]
Epsilon = Annotated[float | None, typer.Option(metavar="E", help="Budget: the error of Algorithm 1, 3 or 4.")]
K = Annotated[int | None, typer.Option("--k", metavar="K", help="Budget: projections.")]
Rank = Annotated[int | None, typer.Option(metavar="R", help="Budget: rank.")]
Keep = Annotated[str | None, typer.Option(metavar="SHARE", help="Budget: share of the numbers, 10% or 0.1.")]
GammaBudget = Annotated[float | None, typer.Option("--gamma", metavar="G", help="Budget: a margin that survives.")]
Cut = Annotated[float | None, typer.Option(metavar="D", help="Budget: singular values below D |A|_2 go.")]
Energy = Annotated[str | None, typer.Option(metavar="SHARE", help="Budget: share of |A|_F^2 that stays.")]
Bits = Annotated[int | None, typer.Option(metavar="B", help="Budget: bits of one weight.")]
Target = Annotated[
    str | None, typer.Option("--target-accuracy-drop", metavar="SHARE", help="Budget: search; 0.5% of the rows, say.")
]
Constants = Annotated[str, typer.Option(metavar="explicit|paper", help="k with a proved constant, or the paper's.")]
Eta = Annotated[float, typer.Option(metavar="P", help="Probability with which an algorithm may miss its epsilon.")]
Width = Annotated[int | None, typer.Option(metavar="B", help="Bits of a number of a factor of svd; 32 by default.")]
Subspace = Annotated[str, typer.Option(metavar="auto|haar|hadamard", help="Of matrix-project-conv.")]
FilterCap = Annotated[str, typer.Option("--filter-cap", metavar="SIZE", help="What filters per position may take.")]
Layers = Annotated[list[str] | None, typer.Option("--layer", metavar="NAME", help="Only this layer; repeatable.")]
Init = Annotated[Path | None, typer.Option(metavar="MODEL", help="Compress the distance from this initialisation.")]
Factorise = Annotated[bool, typer.Option("--factorise", help="Write a truncated layer as two where that saves work.")]
Codes = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write seeds and integers, for decompress.")]
Sweep = Annotated[bool, typer.Option("--sweep", help="Try other budgets, and say where accuracy breaks.")]
Measured = Annotated[int, typer.Option(metavar="N", help="Rows behind errors at layers, cushions and q.")]


@grouped
def compress(
    model: options.ModelArgument,
    output: ModelOutput,
    method: MethodName,
    rows: OptionalRowOptions,
    *,
    epsilon: Epsilon = None,
    k: K = None,
    rank: Rank = None,
    keep: Keep = None,
    gamma: GammaBudget = None,
    cut: Cut = None,
    energy: Energy = None,
    bits: Bits = None,
    target_accuracy_drop: Target = None,
    constants: Constants = "explicit",
    eta: Eta = 0.05,
    width: Width = None,
    subspace: Subspace = "auto",
    filter_cap: FilterCap = "256MiB",
    layer: Layers = None,
    init: Init = None,
    factorise: Factorise = False,
    codes: Codes = None,
    sweep: Sweep = False,
    gamma_quantile: Annotated[float, typer.Option(metavar="Q", help="The margin of losses: this quantile.")] = 0.05,
    delta: options.Delta = 0.05,
    measured: Measured = 100,
    device: options.Device = "auto",
    threads: options.Threads = None,
    output_format: options.FormatOption = Format.TABLE,
    as_json: options.Json = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compress a classifier, write it as ONNX, and say what that did to outputs, accuracy, size and time."""
    del debug
    set_threads(threads)
    from onnxbound.cli.output import require_outputs
    from onnxbound.cli.progress import Progress
    from onnxbound.cli.values import bytes_of, one_of, share_of
    from onnxbound.compression.compress import compress as run
    from onnxbound.compressors.compress import Method
    from onnxbound.compressors.request import Request
    from onnxbound.errors import UsageError
    from onnxbound.graph.load import load

    knobs = {
        "epsilon": epsilon,
        "k": k,
        "rank": rank,
        "keep": None if keep is None else share_of("--keep", keep),
        "gamma": gamma,
        "cut": cut,
        "energy": None if energy is None else share_of("--energy", energy),
        "bits": bits,
    }
    if str(output) == "-":
        raise UsageError("usage", "compress writes a file, and says on stdout what it did: give -o OUT.onnx.")
    request = Request(
        method=Method(
            name=one_of("--method", method, METHODS),
            constants=one_of("--constants", constants, ("explicit", "paper")),
            eta=eta,
            seed=rows.seed,
            width=width,
            subspace=None if subspace == "auto" else one_of("--subspace", subspace, ("auto", "haar", "hadamard")),
            filter_cap=bytes_of("--filter-cap", filter_cap),
            threads=threads,
        ),
        budget=_budget(knobs, searched=target_accuracy_drop is not None),
        target_drop=None if target_accuracy_drop is None else share_of("--target-accuracy-drop", target_accuracy_drop),
        layers=tuple(layer or ()),
        factorise=factorise,
        sweep=sweep,
        gamma_quantile=gamma_quantile,
        delta=delta,
        measured=measured,
        device=device,
        threads=threads,
    )
    require_outputs([output, codes], force=force)
    network = rows.network(model)
    train = None if rows.data is None else rows.rows(network)
    with Progress(quiet=quiet) as progress:
        report = run(
            network,
            output,
            request,
            train,
            init=None if init is None else load(init),
            codes=codes,
            force=force,
            progress=progress,
        )
    _print(report, chosen_format(output_format, as_json=as_json), quiet=quiet)


def _budget(knobs: "dict[str, float | int | None]", *, searched: bool) -> "Budget | None":
    from onnxbound.compressors.budget import Budget
    from onnxbound.errors import UsageError

    given = {name: value for name, value in knobs.items() if value is not None}
    if len(given) + searched > 1:
        named = ", ".join([*(f"--{name}" for name in given), *(["--target-accuracy-drop"] if searched else [])])
        raise UsageError("usage", f"compress takes one budget, not {named}.")
    for name, value in given.items():
        return Budget(name, float(value))  # type: ignore[arg-type]
    return None


def _print(report: "Compression", result_format: Format, *, quiet: bool) -> None:
    from onnxbound.cli.output import emit
    from onnxbound.documents.document import to_json_text

    if result_format is not Format.TABLE and not quiet:
        for warning in report.warnings:
            print(f"onnxbound: {warning}", file=sys.stderr)  # noqa: T201
    if result_format is Format.JSON:
        text = to_json_text(report.to_json())
    elif result_format is Format.CSV:
        from onnxbound.report.csv import to_csv

        text = to_csv(report.to_json())
    else:
        import io

        from rich.console import Console

        from onnxbound.compression.table import render_compression

        out = io.StringIO()
        terminal = sys.stdout.isatty()
        render_compression(
            report, Console(file=out, force_terminal=terminal, width=Console().width if terminal else 100)
        )
        text = out.getvalue()
    emit(text, None, force=False)
