"""`onnxbound noise`, `compare`, `track` and `rank`: the experiments of the paper on other nets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxbound.cli import options
from onnxbound.cli.groups import MeasureOptions, ResultOptions, RowOptions, grouped
from onnxbound.cli.options import set_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from onnxbound.experiments.nets import Subject
    from onnxbound.report.figures.figure import Figure

Models = Annotated[
    list[Path],
    typer.Argument(
        metavar="MODEL...", help="ONNX files; MODEL:FILE gives one conventions of its own.", show_default=False
    ),
]
Checkpoints = Annotated[
    list[Path],
    typer.Argument(metavar="CHECKPOINT...", help="ONNX files, in order; MODEL:FILE as in compare.", show_default=False),
]
LabelsFor = Annotated[
    list[str] | None,
    typer.Option("--labels-for", metavar="N=FILE", help="Labels, .npy, of the N-th model's training; repeatable."),
]
RequiredTest = Annotated[
    Path, typer.Option("--test", metavar="FILE", help="A test set, for the gaps.", show_default=False)
]


@grouped
def noise(
    model: options.ModelArgument,
    rows: RowOptions,
    result: ResultOptions,
    *,
    measured: options.Measured = "1000",
    probes: options.Probes = "4",
    noise: options.Noise = "gaussian:0.1",
    threads: options.Threads = None,
) -> None:
    """Let noise in at each layer and measure what is left of it at later ones, [A] Fig. 1."""
    set_threads(threads)
    from onnxbound.cli.progress import Progress
    from onnxbound.experiments.attenuation import attenuate
    from onnxbound.experiments.figures import noise_figures
    from onnxbound.experiments.tables import print_noise

    settings = MeasureOptions(measured=measured, probes=probes, noise=noise).settings(rows.seed)
    result.require_writable()
    network = rows.network(model)
    with Progress(quiet=result.quiet) as progress:
        found = attenuate(network, rows.rows(network), settings, progress)
    _finish(found.to_json(), result, lambda console: print_noise(found, console), lambda: noise_figures(found), ())


@grouped
def compare(
    models: Models, rows: RowOptions, measure: MeasureOptions, result: ResultOptions, *, labels_for: LabelsFor = None
) -> None:
    """Show the properties of several nets side by side at the same rows, [A] Fig. 2, 3 and A.1 to A.7."""
    set_threads(measure.threads)
    from onnxbound.cli.progress import Progress
    from onnxbound.experiments.comparison import compare as run
    from onnxbound.experiments.figures import comparison_figures
    from onnxbound.experiments.nets import short_names
    from onnxbound.experiments.tables import print_comparison

    settings = measure.settings(rows.seed)
    result.require_writable()
    subjects = _subjects(models, rows, None, labels_for)
    with Progress(quiet=result.quiet) as progress:
        found = run(subjects, short_names([subject.network.path for subject in subjects]), settings, progress)
    draw, figures = lambda console: print_comparison(found, console), lambda: comparison_figures(found)
    _finish(found.to_json(), result, draw, figures, found.warnings)


@grouped
def track(
    models: Checkpoints,
    rows: RowOptions,
    measure: MeasureOptions,
    result: ResultOptions,
    *,
    test: RequiredTest,
    labels_for: LabelsFor = None,
) -> None:
    """Follow the bound and the properties along checkpoints, beside the measured gap, [A] Fig. 4 right."""
    _rank(models, rows, measure, result, test, labels_for, checkpoints=True)


@grouped
def rank(
    models: Models,
    rows: RowOptions,
    measure: MeasureOptions,
    result: ResultOptions,
    *,
    test: RequiredTest,
    labels_for: LabelsFor = None,
) -> None:
    """Hold every capacity against the true gaps of several nets of one task."""
    _rank(models, rows, measure, result, test, labels_for, checkpoints=False)


def _rank(
    models: list[Path],
    rows: RowOptions,
    measure: MeasureOptions,
    result: ResultOptions,
    test: Path,
    labels_for: list[str] | None,
    *,
    checkpoints: bool,
) -> None:
    set_threads(measure.threads)
    from onnxbound.cli.progress import Progress
    from onnxbound.experiments.figures import ranking_figures
    from onnxbound.experiments.nets import short_names
    from onnxbound.experiments.ranking import rank as run
    from onnxbound.experiments.tables import print_ranking

    settings = measure.settings(rows.seed)
    result.require_writable()
    subjects = _subjects(models, rows, test, labels_for)
    with Progress(quiet=result.quiet) as progress:
        found = run(
            subjects,
            short_names([subject.network.path for subject in subjects]),
            settings,
            checkpoints=checkpoints,
            progress=progress,
        )
    draw, figures = lambda console: print_ranking(found, console), lambda: ranking_figures(found)
    _finish(found.to_json(), result, draw, figures, found.warnings)


def _subjects(models: list[Path], rows: RowOptions, test: Path | None, labels_for: list[str] | None) -> "list[Subject]":
    """Every net with its rows, opened before anything is computed."""
    from onnxbound.cli.values import split_conventions
    from onnxbound.errors import DataError
    from onnxbound.experiments.nets import Subject

    labels = _labels_by_number(labels_for or [], len(models))
    subjects = []
    for number, model in enumerate(models, start=1):
        path, conventions = split_conventions(model)
        own = replace(rows, conventions=conventions or rows.conventions)
        network = own.network(path)
        try:
            train = own.rows(network, labels.get(number))
        except DataError as error:
            if number > 1:  # the rows of the nets before fit, and would not with other options
                error.suggestion = {}
            raise
        test_rows = None if test is None else own.test_rows(network, test)
        subjects.append(Subject(network, train, test_rows))
    return subjects


def _labels_by_number(given: list[str], models: int) -> dict[int, Path]:
    from onnxbound.errors import UsageError

    result = {}
    for text in given:
        number, equals, file = text.partition("=")
        if not (equals and file and number.isdecimal() and 1 <= int(number) <= models):
            raise UsageError("usage", f"--labels-for takes N=FILE with N from 1 to {models}, not {text!r}.")
        result[int(number)] = Path(file)
    return result


def _finish(
    document: dict[str, Any],
    result: ResultOptions,
    draw: "Callable[[Console], None]",
    figures: "Callable[[], Sequence[Figure]]",
    warnings: Sequence[str],
) -> None:
    """Print or write the result, and the figures that were asked for."""
    from onnxbound.cli.output import emit, rendered, tell
    from onnxbound.cli.plots import write_plots

    if not result.quiet:
        tell(warnings)
    emit(rendered(document, result.format, draw, result.output), result.output, force=result.force)
    if result.plots is not None:
        write_plots(figures(), result.plots, force=result.force)
