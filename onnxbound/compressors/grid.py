"""A weight as runtimes for small integers read it: levels, and the scales that DequantizeLinear multiplies them by."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxbound.graph.small_integers import integer_tensor, largest_level
from onnxbound.results import Float64Array

Scales = NDArray[np.floating[Any]]

_OPSETS = {4: 21, 8: 13}
"""Bits of an integer to the oldest opset in which it has a scale per channel."""

_BLOCK_OPSET = 21
_NARROW_SCALES = 24
"""From so many scales on 16 bits each and a Cast take fewer bytes than 32 bits each."""

_LEAST, _MOST = 1e-3, 6e4
"""Scales of 16 bits lie between these, also where they are cut to half: normal numbers there."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A matrix of levels.

    Attributes:
        levels: Of magnitude at most 2^(width - 1) - 1, output units first, (h, n).
        scales: Of each unit and each block of its entries, float16 or float32, as the file has them, (h, blocks).
        width: Bits of a level, 2 to 8.
        block: Entries of a block; 0 where a unit has one scale.
    """

    levels: NDArray[np.int64]
    scales: Scales
    width: int
    block: int = 0

    @property
    def stored(self) -> int:
        """Bits of the integers that hold the levels, 4 or 8."""
        return 4 if self.width <= 4 else 8

    @property
    def opset(self) -> int:
        """The oldest that has it."""
        return _BLOCK_OPSET if self.block else _OPSETS[self.stored]

    def matrix(self) -> Float64Array:
        """What DequantizeLinear makes of it: products rounded to float32, (h, n)."""
        scales = spread(self.scales, self.levels.shape[1], self.block)
        return (self.levels.astype(np.float32) * scales).astype(np.float64)


def full_scales(matrix: Float64Array, width: int, block: int = 0) -> Scales:
    """The scales at which the largest entries are the last levels, as the file holds them, (h, blocks).

    Of 16 bits where that is shorter and they are normal numbers there, else of 32; 1 where every entry is 0.

    >>> full_scales(np.array([[0.7, 0.0]]), 4)
    array([[0.1]], dtype=float32)
    """
    starts = np.arange(0, matrix.shape[1], block or matrix.shape[1])
    found = np.maximum.reduceat(np.abs(matrix), starts, axis=1) / largest_level(width)
    found[found == 0] = 1.0
    narrow = found.size >= _NARROW_SCALES and found.min() >= _LEAST and found.max() <= _MOST
    return found.astype(np.float16) if narrow else found.astype(np.float32)


def spread(scales: Scales, entries: int, block: int) -> NDArray[np.float32]:
    """The scale of every entry, (h, 1) or (h, n)."""
    return (np.repeat(scales, block, axis=1)[:, :entries] if block else scales).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Half:
    """A matrix in numbers of 16 bits, which a Cast widens.

    Attributes:
        values: (h, n).
    """

    values: NDArray[np.float16]
    width: ClassVar[int] = 16
    stored: ClassVar[int] = 16
    opset: ClassVar[int] = 9

    def matrix(self) -> Float64Array:
        """The numbers, (h, n)."""
        return self.values.astype(np.float64)


def add_stored(
    model: ModelProto,
    name: str,
    stored: Grid | Half,
    shape: tuple[int, ...],
    *,
    transposed: bool,
    kind: int = TensorProto.FLOAT,
) -> None:
    """Put what stands for a weight into a model, and the nodes that make the tensor `name` of it.

    Args:
        model: Has no tensor of that name any more.
        name: Of the weight.
        stored: What stands for it.
        shape: Of the weight in the file.
        transposed: Whether the file has the units last.
        kind: Element type of the weight in the file, 32 or 16 bits.
    """
    taken = {tensor.name for tensor in model.graph.initializer} | {n for node in model.graph.node for n in node.output}

    def laid_out(matrix: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(matrix.T if transposed else matrix)

    def constant(letter: str, tensor: TensorProto) -> str:
        tensor.name = _free(f"{letter}{len(model.graph.initializer)}", taken)
        model.graph.initializer.append(tensor)
        return tensor.name

    def wide(numbers: NDArray[Any], output: str | None = None) -> str:
        narrow = constant("h", numpy_helper.from_array(numbers))
        if numbers.dtype == np.float32:
            return narrow
        output = output or _free(f"f{len(model.graph.initializer)}", taken)
        nodes.append(helper.make_node("Cast", [narrow], [output], to=TensorProto.FLOAT))
        return output

    nodes: list[NodeProto] = []
    if isinstance(stored, Half) and kind == TensorProto.FLOAT16:
        model.graph.initializer.append(numpy_helper.from_array(laid_out(stored.values).reshape(shape), name))
    elif isinstance(stored, Half):
        wide(laid_out(stored.values).reshape(shape), name)
    else:
        integers = integer_tensor("", laid_out(stored.levels).reshape(shape), stored.stored)
        scales = laid_out(stored.scales) if stored.block else stored.scales[:, 0]
        inputs = [constant("q", integers), wide(scales)]
        axis = int(not transposed) if stored.block else (len(shape) - 1) * transposed
        attributes: dict[str, Any] = {} if axis == 1 else {"axis": axis}
        if stored.block:
            attributes["block_size"] = stored.block
        output = name if kind == TensorProto.FLOAT else _free(f"f{len(model.graph.initializer)}", taken)
        nodes.append(helper.make_node("DequantizeLinear", inputs, [output], **attributes))
        if output != name:
            nodes.append(helper.make_node("Cast", [output], [name], to=kind))
    others = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *others])


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
