"""`onnxbound diff`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.options import Format, chosen_format

if TYPE_CHECKING:
    from rich.console import Console

    from onnxbound.analysis.difference import Difference

Before = Annotated[Path, typer.Argument(metavar="A.json", help="A report of `analyze --json`.", show_default=False)]
After = Annotated[Path, typer.Argument(metavar="B.json", help="Another.", show_default=False)]
Tolerance = Annotated[float, typer.Option("--tolerance", metavar="R", help="Relative change that does not count.")]
FailIfChanged = Annotated[bool, typer.Option("--exit-code", help="Exit 1 if something changed.")]


def diff(
    before: Before,
    after: After,
    *,
    tolerance: Tolerance = 1e-4,
    exit_code: FailIfChanged = False,
    output_format: options.FormatOption = Format.TABLE,
    as_json: options.Json = False,
    output: options.Output = None,
    force: options.Force = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Say what changed between two reports: every number by its name, running times left aside."""
    del debug
    from onnxbound.analysis.difference import difference
    from onnxbound.analysis.document import read_report
    from onnxbound.cli.output import emit, rendered, require_outputs
    from onnxbound.errors import UsageError

    if not tolerance >= 0:
        raise UsageError("usage", f"--tolerance takes a number of at least 0, not {tolerance}.")
    require_outputs([output], force=force)
    found = difference(read_report(before), read_report(after), tolerance)
    wanted = chosen_format(output_format, as_json=as_json)
    text = rendered(found.to_json(), wanted, lambda console: _print(found, console, verbose=verbose), output)
    emit(text, output, force=force)
    if exit_code and found.changes:
        raise typer.Exit(1)


_OF_INTEREST = ("data.train_error", "data.test_error", "margin.gamma", "bounds.", "layers.")
_MINOR = (".q05", ".rows", ".undefined", ".standard_error", ".log10")


def _print(found: "Difference", console: "Console", *, verbose: bool) -> None:
    from rich.text import Text

    from onnxbound.errors import visible
    from onnxbound.report.plain_table import plain_table
    from onnxbound.report.words import number, shortened

    def words(value: object) -> str:
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return number(value)
        return shortened(visible(str(value)), 30)

    if not found.same_data:
        console.print("the two reports measured different rows")
    shown = [
        change
        for change in found.changes
        if verbose or (change.name.startswith(_OF_INTEREST) and not change.name.endswith(_MINOR))
    ]
    console.print(f"{len(found.changes):,} of {found.compared:,} values changed by more than {found.tolerance:g}")
    table = plain_table("", "before", "after", "change", left=1)
    for change in shown:
        percent = "" if change.relative is None else f"{change.relative:+.1%}"
        table.add_row(Text(visible(change.name)), Text(words(change.before)), Text(words(change.after)), percent)
    if shown:
        console.print(table)
    hidden = len(found.changes) - len(shown)
    if hidden:
        console.print(f"{hidden:,} more with -v")
