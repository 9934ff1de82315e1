"""What changed between two reports, for people in a terminal."""

from rich.console import Console
from rich.text import Text

from onnxbound.analysis.difference import Difference
from onnxbound.errors import visible
from onnxbound.report.plain_table import plain_table
from onnxbound.report.words import number, shortened

_OF_INTEREST = ("data.train_error", "data.test_error", "margin.gamma", "bounds.", "layers.")
_MINOR = (".q05", ".rows", ".undefined", ".standard_error", ".log10")


def render_difference(difference: Difference, console: Console, *, verbose: bool) -> None:
    """Print the changes that matter most, or all of them."""
    if not difference.same_data:
        console.print("the two reports measured different rows")
    shown = [
        change
        for change in difference.changes
        if verbose or (change.name.startswith(_OF_INTEREST) and not change.name.endswith(_MINOR))
    ]
    console.print(
        f"{len(difference.changes):,} of {difference.compared:,} values changed by more than {difference.tolerance:g}"
    )
    table = plain_table("", "before", "after", "change", left=1)
    for change in shown:
        percent = "" if change.relative is None else f"{change.relative:+.1%}"
        table.add_row(Text(visible(change.name)), Text(_words(change.before)), Text(_words(change.after)), percent)
    if shown:
        console.print(table)
    if len(shown) < len(difference.changes):
        console.print(f"{len(difference.changes) - len(shown):,} more with -v")


def _words(value: object) -> str:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return number(value)
    return shortened(visible(str(value)), 30)
