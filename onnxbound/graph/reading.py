"""What the caller says about how a file is to be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxbound.operators.operator import Array


@dataclass(frozen=True, slots=True)
class Reading:
    """Choices that a file with several inputs or outputs leaves open.

    Attributes:
        logits: Name of the tensor that is read as the logits; found if None.
        fixed: Input name to the value that it is held at.
    """

    logits: str | None = None
    fixed: Mapping[str, Array] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"logits": self.logits, "fixed": {name: value.tolist() for name, value in sorted(self.fixed.items())}}
