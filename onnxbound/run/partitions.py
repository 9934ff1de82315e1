"""The rows of a run in partitions: computed in any order and anywhere, merged in the order of the rows."""

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
        stage: What is computed.
        number: From 0 within the stage.
        start: First place in the stage's list of rows.
        stop: Behind the last.
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
    """Computes partitions. It is a function of its inputs alone, so that it does not matter where it runs."""

    def run(self, stage: str, inputs: Arrays) -> Arrays:
        """The arrays of one partition."""

    def recipe(self) -> "Recipe":
        """What the same work is built from elsewhere."""


class Recipe(Protocol):
    """Builds work in another process: it can be pickled, and recipes of the same work have the same `repr`."""

    def build(self) -> Work:
        """The work."""
