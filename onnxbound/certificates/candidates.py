"""Networks on a lattice, the places they are rounded from, and the choice among them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.space import LevelVector
from onnxbound.compressors.lattice import Matrix, compensation
from onnxbound.results import Float64Array


@dataclass(frozen=True, slots=True)
class Point:
    """A network on the lattice.

    Attributes:
        levels: (P,).
        steps: One per tensor.
        price: Of a bit, at which it was found.
    """

    levels: LevelVector
    steps: Float64Array
    price: float


@dataclass(frozen=True, slots=True)
class Aim:
    """Where the weights would best be, for one damping.

    Attributes:
        here: Where they are, (P,).
        entries: Which may move, ascending, (E,).
        wanted: Where these would best be, (E,).
        compensating: U of `compensation`, (E, E).
    """

    here: Float64Array
    entries: NDArray[np.int64]
    wanted: Float64Array
    compensating: Matrix

    @classmethod
    def of(cls, here: Float64Array, gradient: Float64Array, damped: Matrix, entries: NDArray[np.int64]) -> "Aim":
        """One step of Newton's method away."""
        compensating = compensation(damped)
        wanted = here[entries] - compensating.T @ (compensating @ gradient)
        return cls(here, entries, wanted, compensating)


class Choice:
    """The best candidate so far, its bound, and the aim that it was rounded from."""

    def __init__(self, point: Point | None = None, bound: float = np.inf) -> None:
        self._point, self.bound = point, bound
        self.aim: Aim | None = None

    @property
    def point(self) -> Point:
        """The best of those offered."""
        assert self._point is not None
        return self._point

    def offer(self, point: Point, bound: float, aim: Aim) -> None:
        """Take it if it is better."""
        if bound < self.bound:
            self._point, self.bound, self.aim = point, bound, aim
