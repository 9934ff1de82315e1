"""How far to compress: one knob, and what it means for each method."""

from dataclasses import dataclass
from math import floor
from typing import Literal, get_args

from onnxbound.errors import require_word

Knob = Literal["epsilon", "k", "rank", "keep", "gamma", "cut", "energy", "bits"]

KNOBS: dict[str, tuple[Knob, ...]] = {
    "smallest": (),
    "fastest": (),
    "int8": (),
    "int8-weights": (),
    "int4-weights": (),
    "fp16": (),
    "matrix-project": ("epsilon", "k", "keep", "gamma"),
    "matrix-project-conv": ("epsilon", "k", "keep"),
    "svd": ("rank", "keep", "cut", "energy", "gamma"),
    "vector-compress": ("epsilon", "gamma"),
    "vector-project": ("epsilon", "k", "keep", "gamma"),
    "quantise": ("bits", "keep"),
}
"""Method to the knobs it has."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How far to compress: one quantity and its value.

    Attributes:
        knob: The quantity. "epsilon": the error that an algorithm of [A] may make. "k": the number of random
            projections. "rank": the rank of a layer. "keep": the share of the numbers to keep. "gamma": by theory, no
            decision with a larger margin may change. "cut": singular values below this share of the largest one are
            dropped. "energy": the share of the squared Frobenius norm to keep. "bits": the bits per weight.
        value: The value of the quantity.

    >>> from onnxbound import Budget
    >>> Budget("keep", 0.25).value
    0.25
    """

    knob: Knob
    value: float

    def __post_init__(self) -> None:
        require_word("knob", self.knob, get_args(Knob))


def kept_numbers(share: float, entries: int, per_unit: int = 1) -> int:
    """Units of `per_unit` numbers that fit into a share of the entries, one at least.

    >>> kept_numbers(0.1, 1000), kept_numbers(0.1, 1000, 65)
    (100, 1)
    """
    return max(1, floor(share * entries / per_unit + 1e-9))
