"""`onnxbound analyze`."""

from pathlib import Path
from typing import Any

import typer

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import MeasureOptions, RowOptions
from onnxbound.cli.options import Format, option
from onnxbound.cli.output_options import ResultOptions

_CONDITION = "Exit with 1 if this holds, such as 'arora > 1e9' or 'min(layers.layer_cushion.min) < 0.01'; repeatable."
_TIME = "Target time. Runs of over a minute use fewer rows to meet it, except with --measured or --fail-if."


@grouped
def analyze(
    model: options.ModelArgument,
    rows: RowOptions,
    measure: MeasureOptions,
    result: ResultOptions,
    *,
    test: Path | None = option("FILE", "A test set, to measure the generalisation gap."),
    run: Path | None = option("DIR", "Save finished parts of the run in this folder, for --resume."),
    resume: bool = option(None, "Continue the run that is saved in --run.", False),
    cluster: str | None = option("ADDRESS|local:N", "Compute on a Dask cluster, or in N local processes."),
    samples: Path | None = option("FILE", "Write the properties of each measured row to this .npz file."),
    worst: int = option("N", "List the N rows of smallest margin, and the N of smallest cushion.", 0),
    time: str = option("TIME", _TIME, "3min"),
    fail_if: list[str] | None = option("'NAME OP X'", _CONDITION),
    reference: Path | None = option("FILE", "Compare the model with its framework's outputs on the first rows (.npy)."),
    dry_run: bool = option(None, "Only print the plan, with estimated time and memory.", False),
    save_conventions: Path | None = option("FILE", "Save the options for reading the model and the rows."),
) -> None:
    """Measure the noise stability of a classifier on its training set, and compute every bound."""
    from contextlib import ExitStack

    from onnxbound.analysis.plan import costs
    from onnxbound.analysis.thresholds import failures, parse_threshold, require_known
    from onnxbound.cli.output import tell
    from onnxbound.cli.values import seconds_of
    from onnxbound.data.array_file import open_npy
    from onnxbound.errors import UsageError
    from onnxbound.run.cluster import exposure
    from onnxbound.run.device import resolve_device
    from onnxbound.run.folder import RunFolder
    from onnxbound.run.reference import require_reference
    from onnxbound.stability.samples import write_samples
    from onnxbound.verbs.analyze import analyze as measured
    from onnxbound.verbs.analyze import plan

    if dry_run and result.format is Format.HTML:
        raise UsageError("usage", "Only a report has a page: a plan has none.")
    thresholds = [parse_threshold(text) for text in fail_if or ()]
    # A gate must not depend on the speed of the machine.
    limit = None if thresholds else seconds_of("--time", time)
    settings = measure.settings(rows.seed, worst=worst, time=limit)
    result.require_writable(samples, save_conventions)
    with result.progress():
        network = rows.network(model)
        require_known(thresholds, network, settings, tested=test is not None)
        train = rows.rows(network)
        test_rows = None if test is None else rows.test_rows(network, test)
    if save_conventions is not None:
        rows.said().write(save_conventions, force=result.force)
    if reference is not None:
        result.say([require_reference(network, train, open_npy(reference), resolve_device(settings.device))])
    if dry_run:
        result.show(plan(network, train, settings))
        return
    result.say([*costs(network, settings), *([] if cluster is None else exposure(cluster))])
    with ExitStack() as stack:
        folder = None if run is None else stack.enter_context(RunFolder(run, resume=resume))
        progress = stack.enter_context(result.progress(run))
        how: Any = {"run": folder, "resume": resume, "cluster": cluster, "progress": progress}
        report = measured(network, train, settings, test_rows=test_rows, **how)
    result.say([] if folder is None else folder.refused)
    try:
        if samples is not None:
            write_samples(report.samples, samples, force=result.force)
    finally:  # hours of work are not lost because one disk is full
        result.show(report)
    result.draw(report)
    failed = failures(report, thresholds)
    tell(f"--fail-if {text}" for text in failed)
    if failed:
        raise typer.Exit(1)
