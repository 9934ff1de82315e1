"""A figure: the numbers it shows, how matplotlib draws them, and the files it is written to."""

import csv
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

from onnxbound.errors import visible
from onnxbound.report.extra import require_extra
from onnxbound.report.words import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cell = str | float | int | None
Kind = Literal["svg", "png", "pdf"]

_WIDTH = 4.4
"""Inches; about the width of a phone."""

_PNG_DPI = 200
_TITLE = 44
"""Characters per line of the title."""

_SAME_EVERY_TIME = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
_STYLE = {
    "text.parse_math": False,  # names of layers may hold dollars
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titley": 1.0,  # matplotlib would measure every label to find a place, and take a fifth longer
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#d9d9d9",
    "legend.frameon": False,
}


@dataclass(frozen=True, slots=True, repr=False)
class Figure:
    """One picture that can be shared alone: its title says what it shows, and of which model.

    Attributes:
        name: Name of its file, without the ending.
        shows: Its subject.
        of: The model or models.
        drawn: Draws it into axes and returns them.
        columns: Names of the columns of its data.
        rows: All data that are drawn.
        height: Inches.
    """

    name: str
    shows: str
    of: str
    drawn: Callable[["Axes"], "Axes"]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    height: float = 3.2

    def __repr__(self) -> str:
        return f"<Figure {self.name}: {self.title}>"

    @property
    def title(self) -> str:
        """Its subject, and the model."""
        return visible(f"{self.shows}; {self.of}")

    def on(self, ax: "Axes | None" = None) -> "Axes":
        """Draw into axes.

        Args:
            ax: Where; None makes a figure of pyplot's.

        Raises:
            UsageError: The extra `report` is not installed.
        """
        require_extra()
        from matplotlib.text import Text

        with _style():
            if ax is None:
                from matplotlib import pyplot as plt

                _, ax = plt.subplots(figsize=(_WIDTH, self.height), layout="constrained")
            ax.set_title(fill(visible(self.shows), _TITLE) + "\n" + shortened(visible(self.of), _TITLE), loc="left")
            self.drawn(ax)
            if not ax.get_ylabel():
                ax.yaxis.set_label_coords(0, 0)  # the same for a label that is not there
            for text in ax.findobj(Text):  # some may be older than the style
                text.set_parse_math(False)
        return ax

    def to(self, *kinds: Kind) -> dict[str, bytes]:
        """Draw it as files of some kinds; the bytes are the same every time.

        Raises:
            UsageError: The extra `report` is not installed.
        """
        require_extra()
        from matplotlib.backend_bases import get_registered_canvas_class
        from matplotlib.figure import Figure as Canvas

        made: dict[str, bytes] = {}
        with _style(**{"svg.hashsalt": self.name}):
            canvas = Canvas(figsize=(_WIDTH, self.height), layout="constrained")
            self.on(canvas.subplots())
            canvas.get_layout_engine().execute(canvas)
            canvas.set_layout_engine("none")
            for kind in kinds:
                content = io.BytesIO()
                canvas.set_dpi(_PNG_DPI)
                written: Any = get_registered_canvas_class(kind)(canvas)  # savefig would draw everything twice
                getattr(written, f"print_{kind}")(content, metadata=_SAME_EVERY_TIME[kind])
                made[kind] = content.getvalue()
        if "svg" in made:
            drawing = re.sub(rb"<metadata>.*?</metadata>", b"", made["svg"], flags=re.DOTALL)
            made["svg"] = re.sub(rb"(?<=[ ML]\d\.\d\d)\d+|(?<=\d\d\.\d\d)\d+(?=[ \n])", b"", drawing)
        return made

    def to_csv(self) -> str:
        """Return the data; null is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()


@contextmanager
def _style(**more: str) -> Iterator[None]:
    """Set the style of every figure. Letters that the font lacks are drawn as boxes, without a warning."""
    from matplotlib import rc_context

    with rc_context(_STYLE | more), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield
