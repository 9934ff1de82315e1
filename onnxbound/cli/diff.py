"""`onnxbound diff`."""

from pathlib import Path

import typer

from onnxbound.cli.grouped import grouped
from onnxbound.cli.options import argument, option
from onnxbound.cli.output_options import LongOptions


@grouped
def diff(
    *,
    before: Path = argument("A.json", "The first report of `analyze --json`."),
    after: Path = argument("B.json", "The second report."),
    result: LongOptions,
    tolerance: float = option("R", "Ignore relative changes of up to R.", 1e-4),
    exit_code: bool = option(None, "Exit with 1 if anything changed, for the better or the worse.", False),
    fail_if_worse: bool = option(None, "Exit with 1 if an error or an error bound became larger.", False),
) -> None:
    """List every value that differs between two reports, except running times."""
    from onnxbound.verbs.diff import diff as compared

    result.require_writable()
    difference = compared(before, after, tolerance)
    if before.samefile(after):
        result.say([f"{before} and {after} are the same file: nothing in it can differ"])
    result.show(difference)
    fails = fail_if_worse and bool(difference.worse)
    if fails:
        result.say([f"worse: {', '.join(change.name for change in difference.worse)}"])
    if fails or (exit_code and difference.changes):
        raise typer.Exit(1)
