"""The rows of a run in partitions: computed in any order on any machine, merged in the order of the rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
"""What a partition is computed from, and what it gives: arrays by name."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Some rows of one stage.

    Attributes:
        stage: Name of the computation.
        number: Number within the stage, from 0.
        start: First place in the stage's list of rows.
        stop: The place after the last.
    """

    stage: str
    number: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many rows."""
        return self.stop - self.start


def partitions(stage: str, rows: int, size: int) -> list[Partition]:
    """All partitions of a stage, `size` rows each but the last.

    >>> [(p.start, p.stop) for p in partitions("forward", 5, 2)]
    [(0, 2), (2, 4), (4, 5)]
    """
    return [
        Partition(stage, number, start, min(start + size, rows)) for number, start in enumerate(range(0, rows, size))
    ]


class Work(Protocol):
    """Computes partitions: a function of its inputs alone, with the same result wherever it runs."""

    def run(self, stage: str, inputs: Arrays) -> Arrays:
        """The arrays of one partition."""

    def recipe(self) -> "Recipe":
        """The recipe from which the same work is built in another process."""


class Recipe(Protocol):
    """Builds work in another process: it can be pickled, and recipes of the same work have the same `repr`."""

    def build(self) -> Work:
        """Build the work."""
