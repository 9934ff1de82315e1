"""`onnxbound report`."""

from pathlib import Path
from typing import Annotated

import typer

from onnxbound.cli.options import Debug, Force, Plots

ReportArgument = Annotated[
    Path, typer.Argument(metavar="REPORT.json", help="What `analyze --json` wrote; - is stdin.", show_default=False)
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="out.html, or out.csv; - is HTML on stdout.")
]


def report(
    source: ReportArgument,
    *,
    output: Output = Path("-"),
    plots: Plots = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Turn a report into one HTML page that needs no network and no script, into CSV, or into figures."""
    del debug
    from onnxbound.cli.output import emit, require_outputs
    from onnxbound.cli.plots import require_plots, write_plots
    from onnxbound.report.csv import to_csv
    from onnxbound.report.figures.of_report import figures
    from onnxbound.report.html.page import page
    from onnxbound.report.read import read_report

    require_outputs([output], force=force)
    require_plots(plots, force=force)
    found = read_report(source)
    emit(to_csv(found.to_json()) if output.suffix == ".csv" else page(found), output, force=force)
    if plots is not None:
        write_plots(figures(found), plots, force=force)
