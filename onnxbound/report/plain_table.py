"""Tables for a terminal: no lines, words to the left, numbers to the right, and nothing cut off."""

from rich.table import Table


def plain_table(*columns: str, left: int = 0) -> Table:
    """A table whose first `left` columns are words and the others numbers."""
    table = Table(box=None, padding=(0, 1), header_style="italic", pad_edge=True)
    for position, name in enumerate(columns):
        justify = "left" if position < left else "right"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=position >= left)  # type: ignore[arg-type]
    return table
