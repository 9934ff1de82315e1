"""`onnxbound analyze`."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.groups import MeasureOptions, ResultOptions, RowOptions, grouped
from onnxbound.cli.options import Format, set_threads
from onnxbound.cli.output import tell

if TYPE_CHECKING:
    from onnxbound.analysis.document import Analysis
    from onnxbound.run.cluster import Cluster
    from onnxbound.run.processes import Processes

Samples = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the per-row arrays, .npz.")]
FailIf = Annotated[list[str] | None, typer.Option(metavar="'NAME OP X'", help="Exit 1 if it holds; repeatable.")]
Worst = Annotated[int, typer.Option(metavar="N", help="List the N rows of smallest margin and of smallest cushion.")]
Reference = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The framework's own outputs on the first rows, .npy, to compare.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and how long it would take.")]


@grouped
def analyze(
    model: options.ModelArgument,
    rows: RowOptions,
    measure: MeasureOptions,
    result: ResultOptions,
    *,
    test: options.Test = None,
    run: options.Run = None,
    resume: options.Resume = False,
    cluster: options.ClusterOption = None,
    samples: Samples = None,
    worst: Worst = 0,
    fail_if: FailIf = None,
    reference: Reference = None,
    dry_run: DryRun = False,
) -> None:
    """Measure every noise-stability property and every bound of a classifier on its training set."""
    set_threads(measure.threads)
    from onnxbound.analysis.analyze import analyze as measured
    from onnxbound.analysis.gates import failures, parse_gate
    from onnxbound.analysis.plan import costs, plan
    from onnxbound.cli.output import emit
    from onnxbound.cli.plots import write_plots
    from onnxbound.cli.progress import Progress
    from onnxbound.data.array_file import open_npy
    from onnxbound.documents.document import to_json_text
    from onnxbound.errors import UsageError
    from onnxbound.run.device import resolve_device
    from onnxbound.run.folder import RunFolder
    from onnxbound.run.reference import require_reference

    gates = [parse_gate(text) for text in fail_if or ()]
    settings = measure.settings(rows.seed, worst)
    if resume and run is None:
        raise UsageError("usage", "--resume goes with --run DIR, the run to go on with.")
    result.require_writable(samples)
    network = rows.network(model)
    train = rows.rows(network)
    test_rows = None if test is None else rows.test_rows(network, test)
    if reference is not None:
        agreement = require_reference(network, train, open_npy(reference), resolve_device(settings.device))
        if not result.quiet:
            tell([agreement])
    if dry_run:
        planned = plan(network, train, settings)
        text = to_json_text(planned.to_json()) if result.format is Format.JSON else planned.in_words()
        emit(text, result.output, force=result.force)
        return
    if not result.quiet:
        tell(costs(network, settings))
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(run, resume=resume)) if run is not None else None
        executor = stack.enter_context(_cluster(cluster, quiet=result.quiet)) if cluster is not None else None
        progress = stack.enter_context(Progress(quiet=result.quiet, kept=run))
        report = measured(
            network, train, settings, test_rows=test_rows, run=folder, executor=executor, progress=progress
        )
    if folder is not None and not result.quiet:
        tell(folder.refused)
    if not result.quiet and (result.format is not Format.TABLE or result.output is not None):
        tell(report.warnings)
    _write(report, result, samples)
    if result.plots is not None:
        from onnxbound.report.figures.of_report import figures

        write_plots(figures(report), result.plots, force=result.force)
    failed = failures(report, gates)
    tell(f"gate not met: {text}" for text in failed)
    if failed:
        raise typer.Exit(1)


def _cluster(address: str, *, quiet: bool) -> "Processes | Cluster":
    from onnxbound.run.cluster import exposure, open_cluster

    warning = exposure(address)
    if warning is not None and not quiet:
        tell([warning])
    return open_cluster(address)


def _write(report: "Analysis", result: ResultOptions, samples: Path | None) -> None:
    """Write everything that can be written: what took hours to compute is not lost because one disk is full."""
    from onnxbound.cli.output import emit, rendered
    from onnxbound.errors import OutputError
    from onnxbound.report.tables import render
    from onnxbound.stability.samples import write_samples

    text = rendered(
        report.to_json(), result.format, lambda console: render(report, console, verbose=result.verbose), result.output
    )
    try:
        if samples is not None:
            write_samples(report.samples, samples, force=result.force)
    except OutputError:
        emit(text, result.output, force=result.force)
        raise
    try:
        emit(text, result.output, force=result.force)
    except OutputError:
        if result.output is not None:
            emit(text, None, force=result.force)
        raise
