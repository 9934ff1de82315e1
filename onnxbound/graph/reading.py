"""The caller's choices about how a file is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxbound.operators.operator import Array, Shape


@dataclass(frozen=True, slots=True)
class Reading:
    """Choices that a file with several inputs or outputs leaves open.

    Attributes:
        logits: Name of the tensor to read as the logits; None to find it.
        fixed: Input name to the value that it is held at.
        lengths: Input name to the shape of one row, where the file leaves lengths open.
    """

    logits: str | None = None
    fixed: Mapping[str, Array] = field(default_factory=dict)
    lengths: Mapping[str, Shape] = field(default_factory=dict)

    def of_model(self) -> dict[str, Any]:
        """Arguments of `load`."""
        return {"logits": self.logits, "fixed": self.fixed, "input_shape": self.lengths}

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        held = {name: value.tolist() for name, value in sorted(self.fixed.items())}
        open_ones = {name: list(shape) for name, shape in sorted(self.lengths.items())}
        return {"logits": self.logits, "fixed": held} | ({"input_shape": open_ones} if open_ones else {})
