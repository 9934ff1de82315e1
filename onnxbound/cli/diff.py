"""`onnxbound diff`."""

from pathlib import Path

import typer

from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import OutputOptions
from onnxbound.cli.options import argument, option


@grouped
def diff(
    *,
    before: Path = argument("A.json", "A report of `analyze --json`."),
    after: Path = argument("B.json", "Another."),
    result: OutputOptions,
    tolerance: float = option("R", "Relative change that does not count.", 1e-4),
    exit_code: bool = option(None, "Exit 1 if something changed.", False),
    verbose: bool = option(None, "More tables.", False, "--verbose", "-v"),
) -> None:
    """Say what changed between two reports: every number by its name, running times left aside."""
    from onnxbound.verbs.diff import diff as compared

    result.require_writable()
    difference = compared(before, after, tolerance)
    if before.samefile(after):
        result.say([f"{before} and {after} are the same file: nothing in it can differ"])
    result.show(difference, verbose=verbose)
    if exit_code and difference.changes:
        raise typer.Exit(1)
