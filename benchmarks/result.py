"""What a benchmark found, and how it is shown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number.

    Attributes:
        name: What it is.
        value: The number, a ratio unless the name gives a unit.
        goal: What it has to keep, `<= 25` or `> 2`; empty where nothing is asked.
    """

    name: str
    value: float
    goal: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is kept; None where there is none."""
        if not self.goal:
            return None
        comparison, limit = self.goal.split()
        if comparison == ">":
            return self.value > float(limit)
        return self.value < float(limit) or (comparison == "<=" and self.value == float(limit))


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark.

    Attributes:
        title: Its name.
        text: What was measured and how.
        rows: The numbers.
    """

    title: str
    text: str
    rows: tuple[Row, ...]


def shown(value: float) -> str:
    """Three digits or so."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def as_markdown(result: Result) -> str:
    """A section with a table."""
    marks = {True: "met", False: "**not met**", None: ""}
    lines = [f"| {row.name} | {shown(row.value)} | {row.goal} | {marks[row.met]} |" for row in result.rows]
    return "\n".join(
        [f"## {result.title}", "", result.text, "", "| | measured | goal | |", "|---|---|---|---|", *lines]
    )


def print_result(result: Result) -> None:
    """The table on stdout."""
    print(as_markdown(result), flush=True)
