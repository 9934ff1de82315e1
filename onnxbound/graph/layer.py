"""The steps of a network, and its weighted layers."""

from collections.abc import Mapping
from dataclasses import dataclass

from onnxbound.operators.conv import Conv
from onnxbound.operators.operator import Operator, Shape
from onnxbound.operators.weighted import Weighted


@dataclass(frozen=True, slots=True)
class Step:
    """One operator applied to named tensors.

    Attributes:
        operator: What it does.
        inputs: Names of the activations it reads.
        output: Name of the activation it writes, as the ONNX graph names it.
        name: The node's own name, possibly empty.
        op: ONNX operator.
        where: Its place in the file, for messages.
        trained: Name and size of each trained constant of the file.
        weight: Name of the constant that the node reads as its weight; empty where it has none.
        folded: ONNX operators of the nodes that were folded into it.
    """

    operator: Operator
    inputs: tuple[str, ...]
    output: str
    name: str
    op: str
    where: str
    trained: tuple[tuple[str, int], ...]
    weight: str = ""
    folded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A weighted layer, [A]'s A^i with everything that is known of it before any row is seen.

    Attributes:
        index: i, 1-based, in topological file order.
        step: The step that applies it.
        operator: Its operator.
        input: Name of a^i, the tensor that enters.
        output: Name of x^i, the tensor that leaves: bias and folded BatchNorm included, before any gate.
        input_shape: Shape of one row of a^i.
        output_shape: Shape of one row of x^i.
        weight_name: Name of the constant that the node reads; layers that read the same one share the name.
        between: Source layer k to l_{k,i}, the Lipschitz constant of what lies between x^k and a^i.
        gate: Names (z, phi(z)) around the first element-wise gate behind x^i; None if there is none.
    """

    index: int
    step: Step
    operator: Weighted
    input: str
    output: str
    input_shape: Shape
    output_shape: Shape
    weight_name: str
    between: Mapping[int, float]
    gate: tuple[str, str] | None

    @property
    def name(self) -> str:
        """The node's name, or its output's if it has none."""
        return self.step.name or self.output

    @property
    def place(self) -> str:
        """Its number and name, for messages."""
        return f"layer {self.index} ({self.name})"

    @property
    def positions(self) -> int:
        """p_i: pixels of a conv layer, positions of a dense one, 1 for a plain vector."""
        return self.operator.positions(self.input_shape)

    @property
    def kernel(self) -> tuple[int, ...]:
        """Kernel lengths; empty for a dense layer."""
        return self.operator.windows.kernel if isinstance(self.operator, Conv) else ()

    @property
    def stride(self) -> tuple[int, ...]:
        """Strides; empty for a dense layer."""
        return self.operator.windows.strides if isinstance(self.operator, Conv) else ()

    @property
    def parameters(self) -> int:
        """Entries of A^i, no bias."""
        return int(self.operator.weight.size)

    @property
    def multiply_adds(self) -> int:
        """Products in A^i a^i per row, those with padding included."""
        return self.parameters * self.positions
