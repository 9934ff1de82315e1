"""`onnxbound diff`."""

from pathlib import Path
from typing import Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import OutputOptions

Before = Annotated[Path, typer.Argument(metavar="A.json", help="A report of `analyze --json`.", show_default=False)]
After = Annotated[Path, typer.Argument(metavar="B.json", help="Another.", show_default=False)]
Tolerance = Annotated[float, typer.Option("--tolerance", metavar="R", help="Relative change that does not count.")]
FailIfChanged = Annotated[bool, typer.Option("--exit-code", help="Exit 1 if something changed.")]


@grouped
def diff(
    before: Before,
    after: After,
    result: OutputOptions,
    *,
    tolerance: Tolerance = 1e-4,
    exit_code: FailIfChanged = False,
    verbose: options.Verbose = False,
) -> None:
    """Say what changed between two reports: every number by its name, running times left aside."""
    from onnxbound.verbs.diff import diff as compared

    result.require_writable()
    difference = compared(before, after, tolerance)
    if before.exists() and after.exists() and before.samefile(after):
        result.say([f"{before} and {after} are the same file: nothing in it can differ"])
    result.show(difference, verbose=verbose)
    if exit_code and difference.changes:
        raise typer.Exit(1)
