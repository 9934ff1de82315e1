"""A view in a terminal, and drawings made of characters."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from onnxbound.errors import visible
from onnxbound.report.view import Facts, Table, View

if TYPE_CHECKING:
    from onnxbound.report.figures.figure import Figure

_BLOCKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FOLDED = 26
"""A column of words that is wider, in characters, may be folded."""


def print_view(view: View, console: Console, *, verbose: bool) -> None:
    """Print verdict, next steps, tables and caveats.

    Args:
        view: What is shown.
        console: Where.
        verbose: Whether to print the long tables too.
    """
    _listed(console, "Verdict", view.verdict, above="")
    console.print()
    console.print(_facts(view.about))
    for section in view.sections:
        shown = [line for part in section.parts for line in _shown(part, console.width)]
        if shown and (verbose or not section.long):
            _titled(console, section.title)
            for line in shown:
                console.print(line)
    _listed(console, "Before you rely on it", view.caveats)
    if view.next_steps:
        _titled(console, "What next")
    for why, command in view.next_steps:
        console.print(Text(f"  {why}:"))
        console.print(Text(f"    {visible(command)}"), soft_wrap=True)  # in one line, however long, to be copied


def _titled(console: Console, title: str, above: str = "\n") -> None:
    console.print(Text(f"{above}{visible(title)}", style="bold"))


def _listed(console: Console, title: str, sentences: Sequence[str], above: str = "\n") -> None:
    if sentences:
        _titled(console, title, above)
    for sentence in sentences:
        grid = Grid.grid(padding=(0, 1))
        grid.add_row(" *", Text(visible(sentence)))
        console.print(grid)


def _shown(part: "str | Facts | Table | Figure", width: int) -> Iterator[RenderableType]:
    if isinstance(part, str):
        yield Padding(Text(visible(part), style="dim"), (0, 0, 0, 2))
    elif isinstance(part, Facts):
        yield _facts(part)
    elif isinstance(part, Table) and part.rows:
        yield from _fitting(part, width)


def _facts(facts: Facts) -> Grid:
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.entries:
        grid.add_row(Text(visible(name)), Text(visible(value)))
    return grid


def _fitting(table: Table, width: int) -> Iterator[RenderableType]:
    """Fit a table to the terminal: fold words, then leave out spare columns and name them."""
    widths = [
        max(map(len, (head, *(line for row in table.rows for line in row[place].split("\n")))))
        for place, head in enumerate(table.head)
    ]
    least = [min(w, _FOLDED) if place < table.left else w for place, w in enumerate(widths)]
    left_out: list[str] = []
    for name in table.spare:
        kept = [w + 2 for head, w in zip(table.head, least, strict=True) if head not in left_out]
        if sum(kept) > width:
            left_out.append(name)
    grid = Grid(box=None, padding=(0, 1), header_style="italic", pad_edge=True)
    for place, head in enumerate(table.head):
        if head not in left_out:
            words = place < table.left
            whole = not words or widths[place] <= _FOLDED
            grid.add_column(Text(head), justify="left" if words else "right", overflow="fold", no_wrap=whole)
    for row in table.rows:
        grid.add_row(
            *(
                Text("\n".join(map(visible, cell.split("\n"))))
                for head, cell in zip(table.head, row, strict=True)
                if head not in left_out
            )
        )
    yield grid
    if left_out:
        yield Text(f"  left out at {width} columns: {', '.join(left_out)}", style="dim")


def sparkline(counts: Sequence[int]) -> str:
    """Draw a histogram in one line; only an empty bin is blank.

    >>> sparkline([0, 1, 4, 8])
    ' ▁▄█'
    """
    largest = max(counts, default=0)
    return "".join(_BLOCKS[-(-8 * count // largest)] if count else " " for count in counts)


def bar(share: float, width: int) -> str:
    """Draw a bar that fills a share of some characters, to an eighth of one.

    >>> bar(0.53, 4)
    '██▏'
    """
    eighths = round(8 * width * min(max(share, 0.0), 1.0))
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
