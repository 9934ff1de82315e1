"""Views: a result as people are shown it, in the same order in a terminal, on a page and as Markdown."""

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
        head: Names of the columns; `topic_of` knows the topic of each.
        rows: Cells; a line break in one is kept in a terminal.
        left: Number of columns with words, from the left; the others hold numbers.
        drawn: Place of a column of drawings made of characters, which only terminals show; -1 if there is none.
        spare: Heads of columns that a narrow terminal leaves out, in this order.
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
        """Its figures; a page shows them side by side, a terminal shows none."""
        from onnxbound.report.figures.figure import Figure

        return tuple(part for part in self.parts if isinstance(part, Figure))


def command(verb: str, *arguments: str, **options: str) -> str:
    """Write a command that can be copied into a shell.

    >>> command("verify", "a folder")
    "onnxbound verify 'a folder'"
    """
    return shlex.join(["onnxbound", verb, *arguments, *(w for name in options for w in (f"--{name}", options[name]))])


@dataclass(frozen=True, slots=True)
class View:
    """A whole result.

    Attributes:
        title: Of the page.
        about: Net, data and settings.
        verdict: Conclusions, the most important sentence first.
        next_steps: Purposes and commands.
        sections: The numbers.
        caveats: What limits the numbers.
        version: Of onnxbound.
    """

    title: str
    about: Facts
    verdict: tuple[str, ...]
    sections: tuple[Section, ...]
    caveats: tuple[str, ...] = ()
    next_steps: tuple[tuple[str, str], ...] = ()
    version: str = ""
