"""One ONNX node as its operator's parser sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxbound.operators.operator import Array, Shape, Unsupported


@dataclass(frozen=True, slots=True)
class Node:
    """A node with everything about its inputs that is known before any row is seen.

    Attributes:
        op_type: ONNX operator name.
        name: The node's own name, possibly empty.
        where: Where it stands, for messages: `graph:node/17 (Conv 'conv1')`.
        opset: Version of the default domain.
        attributes: Attribute name to Python value.
        constants: Per input, its constant value; None where the input is computed from the rows, or absent.
        shapes: Per input, the shape of one row; None where the input is a constant, or absent.
        batch: Length of the batch axis that the graph's own shape arithmetic was resolved with.
        output: Which of the outputs is asked for.
        outputs: How many there are.
    """

    op_type: str
    name: str
    where: str
    opset: int
    attributes: Mapping[str, Any]
    constants: tuple[Array | None, ...]
    shapes: tuple[Shape | None, ...]
    batch: int
    output: int = 0
    outputs: int = 1

    def constant(self, index: int) -> Array | None:
        """The constant value of input `index`, None if that input is absent or not constant."""
        return self.constants[index] if index < len(self.constants) else None

    def shape(self, index: int = 0) -> Shape:
        """Row shape of input `index`, which has to be computed from the rows."""
        shape = self.shapes[index] if index < len(self.shapes) else None
        if shape is None:
            raise Unsupported(f"input {index} is a constant, where an activation is expected")
        return shape

    def activations(self) -> int:
        """How many inputs are computed from the rows."""
        return sum(shape is not None for shape in self.shapes)

    def option(self, index: int, attribute: str, default: Any) -> Any:
        """A setting that is an attribute in old opsets and a constant input in newer ones."""
        value = self.constant(index)
        if value is not None:
            return value
        if index < len(self.shapes) and self.shapes[index] is not None:
            raise Unsupported(f"{attribute} depends on the rows")
        return self.attributes.get(attribute, default)

    def floating(self, index: int) -> Array | None:
        """The constant of input `index` in its own type, None if absent; refuses all but float32 and float64."""
        value = self.constant(index)
        if value is None:
            return None
        if value.dtype not in (np.float32, np.float64):
            raise Unsupported(
                f"input {index} has the element type {value.dtype}",
                "convert the model to float32 (onnxbound reads float32 and float64 weights)",
            )
        return value
