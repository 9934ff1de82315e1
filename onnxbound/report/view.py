"""What people are shown of a result, in an order that terminal, page and Markdown share: verdict, numbers, caveats."""

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxbound.report.figures.figure import Figure


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells with a head and a caption.

    Attributes:
        caption: What it shows.
        head: Names of the columns; `topic_of` says which topic each of them stands for.
        rows: Cells; a line break in one is kept in a terminal.
        left: So many columns are words, the others numbers.
        drawn: A column of drawings made of characters, for terminals alone; -1 if there is none.
        spare: Heads of columns that a narrow terminal leaves out, the first one first.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    drawn: int = -1
    spare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A title and what stands below it.

    Attributes:
        title: Its heading.
        parts: Sentences, tables and figures.
        long: Whether a terminal shows it only where more tables are asked for.
    """

    title: str
    parts: tuple["str | Facts | Table | Figure", ...]
    long: bool = False

    @property
    def figures(self) -> tuple["Figure", ...]:
        """Its figures, side by side on a page; a terminal has none."""
        from onnxbound.report.figures.figure import Figure

        return tuple(part for part in self.parts if isinstance(part, Figure))


def command(verb: str, *arguments: str, **options: str) -> str:
    """A command to be copied into a shell.

    >>> command("verify", "a folder")
    "onnxbound verify 'a folder'"
    """
    return shlex.join(["onnxbound", verb, *arguments, *(w for name in options for w in (f"--{name}", options[name]))])


@dataclass(frozen=True, slots=True)
class View:
    """A whole result.

    Attributes:
        title: Of the page.
        about: What was done to what.
        verdict: What follows, the most important sentence first.
        next_steps: What to do next, and the command that does it.
        sections: The numbers.
        caveats: What restricts them.
        version: Of onnxbound.
    """

    title: str
    about: Facts
    verdict: tuple[str, ...]
    sections: tuple[Section, ...]
    caveats: tuple[str, ...] = ()
    next_steps: tuple[tuple[str, str], ...] = ()
    version: str = ""
