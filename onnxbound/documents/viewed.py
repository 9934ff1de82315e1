"""Results that can be shown in a terminal, on a page, as Markdown, and in figures."""

from typing import TYPE_CHECKING

from onnxbound.documents.document import Document

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

    from onnxbound.report.figures.figure import Figure
    from onnxbound.report.view import View


class Viewed(Document):
    """A document with a view, from which pages, Markdown and figures are made."""

    __slots__ = ()

    def view(self) -> "View":
        """Return the sections of the page: verdict, tables and figures."""
        raise NotImplementedError

    def figures(self) -> "tuple[Figure, ...]":
        """Return all figures, with their data."""
        return tuple(figure for section in self.view().sections for figure in section.figures)

    def plot(self, name: str, ax: "Axes | None" = None) -> "Axes":
        """Draw one figure with matplotlib, and return its axes; `axes.figure.savefig(FILE)` saves it.

        Needs the extra `report`.

        Args:
            name: The name of the figure, such as "layer_cushion"; `figures()` lists all.
            ax: The axes to draw on; None makes a new pyplot figure in the style of the pages.

        Raises:
            UsageError: There is no such figure, or the extra is not installed.
        """
        from onnxbound.errors import UsageError

        known = {figure.name: figure for figure in self.figures()}
        if name not in known:
            raise UsageError("usage", f"There is no figure {name!r}: there are {', '.join(known)}.")
        return known[name].on(ax)

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        from onnxbound.report.terminal import print_view

        print_view(self.view(), console, verbose=verbose)

    def to_html(self) -> str:
        """Return one self-contained HTML page; needs the extra `report`.

        Raises:
            UsageError: The extra is not installed.
        """
        from onnxbound.report.page import page

        return page(self.view())

    def to_markdown(self) -> str:
        """Return the verdict and the tables as Markdown."""
        from onnxbound.report.markdown import to_markdown

        return to_markdown(self.view())
