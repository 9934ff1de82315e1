"""A figure, and the numbers that it is drawn from."""

import csv
import io
from dataclasses import dataclass
from xml.etree.ElementTree import Element

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its data.

    Attributes:
        name: Its file, without the ending.
        caption: What it shows, in a sentence.
        drawing: SVG.
        columns: Names of the columns of its data.
        rows: The data, nothing that is drawn left out.
    """

    name: str
    caption: str
    drawing: Element
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_csv(self) -> str:
        """The data; null is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()
