"""`onnxbound analyze`."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.options import Format, chosen_format, set_threads

if TYPE_CHECKING:
    from onnxbound.report.report import Report
    from onnxbound.run.cluster import Cluster

Form = Annotated[
    str, typer.Option(metavar="affine|linear", help="Keep biases in the signal, or measure [A] as printed.")
]
Measured = Annotated[str, typer.Option(metavar="N|all", help="Rows for the Jacobian properties.")]
Probes = Annotated[str, typer.Option(metavar="N|exact", help="Noise vectors per layer and row, or exact Jacobians.")]
Pairs = Annotated[str, typer.Option(metavar="all|output", help="All pairs of layers, or those with the output.")]
Noise = Annotated[str, typer.Option(metavar="gaussian:R", help="Noise for smoothness, of length R |x|.")]
Gamma = Annotated[float | None, typer.Option(metavar="G", help="The margin of the bounds.")]
GammaQuantile = Annotated[float, typer.Option(metavar="Q", help="Without --gamma: this quantile of the margins.")]
Delta = Annotated[float, typer.Option(metavar="D", help="Probability with which an explicit bound may fail.")]
Zeta = Annotated[float, typer.Option(metavar="Z", help="Share of rows that the conditions of [A] may leave out.")]
Samples = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the per-row arrays, .npz.")]
FailIf = Annotated[list[str] | None, typer.Option(metavar="'NAME OP X'", help="Exit 1 if it holds; repeatable.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and how long it would take.")]


def analyze(
    model: options.ModelArgument,
    data: options.Data,
    *,
    logits: options.Logits = None,
    fix: options.Fix = None,
    external_root: options.ExternalRoot = None,
    labels: options.Labels = None,
    test: options.Test = None,
    x_key: options.XKey = None,
    y_key: options.YKey = None,
    layout: options.LayoutOption = None,
    scale: options.Scale = None,
    mean: options.Mean = None,
    std: options.Std = None,
    limit: options.Limit = None,
    form: Form = "affine",
    measured: Measured = "1000",
    probes: Probes = "4",
    pairs: Pairs = "all",
    noise: Noise = "gaussian:0.1",
    gamma: Gamma = None,
    gamma_quantile: GammaQuantile = 0.05,
    delta: Delta = 0.05,
    zeta: Zeta = 0.0,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
    engine: options.Engine = "auto",
    memory: options.Memory = "2GiB",
    run: options.Run = None,
    resume: options.Resume = False,
    cluster: options.ClusterOption = None,
    output_format: options.FormatOption = Format.TABLE,
    as_json: options.Json = False,
    output: options.Output = None,
    force: options.Force = False,
    samples: Samples = None,
    fail_if: FailIf = None,
    dry_run: DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Measure every noise-stability property and every bound of a classifier on its training set."""
    del debug
    set_threads(threads)
    from onnxbound.analysis import analyze as measure
    from onnxbound.cli.output import emit, require_outputs, to_json
    from onnxbound.cli.progress import Progress
    from onnxbound.cli.values import bytes_of, count_or, gaussian_radius, held_inputs, one_of, preprocessing_of
    from onnxbound.data.open import open_rows
    from onnxbound.errors import UsageError, visible
    from onnxbound.graph.load import load
    from onnxbound.plan import plan
    from onnxbound.report.gates import failures, parse_gate
    from onnxbound.run.folder import RunFolder
    from onnxbound.settings import Settings

    gates = [parse_gate(text) for text in fail_if or ()]
    settings = Settings(
        form=one_of("--form", form, ("affine", "linear")),
        measured=None if measured == "all" else count_or("--measured", measured, "all"),
        probes="exact" if probes == "exact" else count_or("--probes", probes, "exact"),
        pairs=one_of("--pairs", pairs, ("all", "output")),
        noise_radius=gaussian_radius(noise),
        gamma=gamma,
        gamma_quantile=gamma_quantile,
        delta=delta,
        zeta=zeta,
        seed=seed,
        device=device,
        threads=threads,
        engine=one_of("--engine", engine, ("auto", "numpy", "onnxruntime")),
        memory=bytes_of("--memory", memory),
    )
    if resume and run is None:
        raise UsageError("usage", "--resume goes with --run DIR, the run to go on with.")
    preprocessing = preprocessing_of(layout, scale, mean, std)
    require_outputs([output, samples], force=force)
    network = load(model, logits=logits, fixed=held_inputs(fix or []), external_root=external_root)
    rows = open_rows(data, network, preprocessing, labels=labels, x_key=x_key, y_key=y_key, limit=limit, seed=seed)
    test_rows = None if test is None else open_rows(test, network, preprocessing, role="test", seed=seed)
    result_format = chosen_format(output_format, as_json=as_json)
    if dry_run:
        planned = plan(network, rows, settings)
        text = to_json(planned.to_json()) if result_format is Format.JSON else planned.in_words()
        emit(text, output, force=force)
        return
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(run, resume=resume)) if run is not None else None
        executor = stack.enter_context(_cluster(cluster)) if cluster is not None else None
        progress = stack.enter_context(Progress(quiet=quiet, kept=run))
        report = measure(network, rows, settings, test_rows=test_rows, run=folder, executor=executor, progress=progress)
    if not quiet and (result_format is not Format.TABLE or output is not None):
        for warning in report.warnings:
            print(f"onnxbound: {visible(warning)}", file=sys.stderr)  # noqa: T201
    _write(report, result_format, output, samples, force=force, verbose=verbose)
    failed = failures(report, gates)
    for text in failed:
        print(f"onnxbound: gate not met: {visible(text)}", file=sys.stderr)  # noqa: T201
    if failed:
        raise typer.Exit(1)


def _cluster(address: str) -> "Cluster":
    from onnxbound.run.cluster import Cluster

    return Cluster(address)


def _write(
    report: "Report", result_format: Format, output: Path | None, samples: Path | None, *, force: bool, verbose: bool
) -> None:
    """Write everything that can be written: what took hours to compute is not lost because one disk is full."""
    from onnxbound.cli.output import emit
    from onnxbound.errors import OutputError
    from onnxbound.report.samples import write_samples

    text = _rendered(report, result_format, to_file=output is not None, verbose=verbose)
    try:
        if samples is not None:
            write_samples(report, samples, force=force)
    except OutputError:
        emit(text, output, force=force)
        raise
    try:
        emit(text, output, force=force)
    except OutputError:
        if output is not None:
            emit(text, None, force=force)
        raise


def _rendered(report: "Report", result_format: Format, *, to_file: bool, verbose: bool) -> str:
    """The report as text; coloured only where it goes to a terminal."""
    if result_format is Format.JSON:
        from onnxbound.cli.output import to_json

        return to_json(report.to_json())
    if result_format is Format.CSV:
        from onnxbound.report.csv import to_csv

        return to_csv(report.to_json())
    import io

    from rich.console import Console

    from onnxbound.report.tables import render

    text = io.StringIO()
    terminal = sys.stdout.isatty() and not to_file
    width = Console().width if terminal else 100
    render(report, Console(file=text, force_terminal=terminal, width=width), verbose=verbose)
    return text.getvalue()
