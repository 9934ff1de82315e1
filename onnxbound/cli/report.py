"""`onnxbound report`."""

from pathlib import Path
from typing import Annotated

import typer

from onnxbound.cli.options import Debug, Force, Plots

ReportArgument = Annotated[
    Path, typer.Argument(metavar="REPORT.json", help="What `analyze --json` wrote; - is stdin.", show_default=False)
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="out.html, or out.csv; - is HTML on stdout, the default."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the names of the files as JSON; errors are JSON too.")]


def report(
    source: ReportArgument,
    *,
    output: Output = None,
    plots: Plots = None,
    as_json: Json = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Turn a report into one HTML page that needs no network and no script, into CSV, or into figures."""
    del debug
    from onnxbound.analysis.document import read_report
    from onnxbound.cli.documents import Files
    from onnxbound.cli.output import STDOUT, emit, require_outputs
    from onnxbound.cli.plots import require_plots, write_plots
    from onnxbound.documents.document import to_json_text
    from onnxbound.errors import UsageError
    from onnxbound.report.csv import to_csv
    from onnxbound.report.figures.of_report import figures
    from onnxbound.report.html.page import page

    if as_json and output == STDOUT:
        raise UsageError("usage", "--json and the page cannot both go to stdout: give -o a file.")
    require_outputs([output], force=force)
    require_plots(plots, force=force)
    found = read_report(source)
    if output is not None or not as_json:
        is_csv = output is not None and output.suffix == ".csv"
        emit(to_csv(found.to_json()) if is_csv else page(found), output, force=force)
    files = [] if output is None else [output]
    if plots is not None:
        files += write_plots(figures(found), plots, force=force)
    if as_json:
        written = Files(str(source), tuple(map(str, files)))
        emit(to_json_text(written.to_json()), None, force=False)
