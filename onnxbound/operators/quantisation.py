"""QuantizeLinear and DequantizeLinear: rounding to a grid of integers, saturated at its ends."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto, helper

from onnxbound.operators import calculus as c
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.gate import Gate
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Tensor, Unsupported

FLOAT = "analyse the float model that was quantised"

AS_QDQ = f"quantise with quant_format=QuantFormat.QDQ, or {FLOAT}"

PAIRED, READERS = "onnxbound_paired", "onnxbound_readers"
"""Attributes of a QuantizeLinear that stands for itself and its DequantizeLinear, and of one that does not."""


@dataclass(frozen=True)
class SaturatingRounding(Gate):
    """QuantizeLinear and DequantizeLinear together compute scale * clip(round(x / scale), low, high).

    Halves round to even. `low` and `high` are the smallest and the largest integer of the type, each minus the zero
    point. If `low` is 0, the pair acts as a ReLU that rounds; if `high` is 0, as the mirror image of a ReLU. Quantisers
    write ReLUs in this way. So onnxbound counts a pair as an activation function only if `low` or `high` is 0.

    The function is a staircase: its derivative is 0, except at the steps. In its place, onnxbound takes the derivative
    of the clip without the rounding (the straight-through estimator). This derivative is 1 strictly inside the range of
    the grid, and 0 at the ends and outside. This convention fixes the slope everywhere, so onnxbound reports no ties
    (entries where the slope is undefined). The function jumps, so it has no Lipschitz constant.

    Attributes:
        scale: Distance of two neighbours on the grid.
        low: Smallest multiple of the scale.
        high: Largest one.
        is_activation: Whether 0 is an end of the range.
    """

    scale: float
    low: int
    high: int
    is_activation: bool = True

    piecewise_linear: ClassVar[bool] = False

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """None are reported."""
        return ()

    def act(self, *x: Tensor) -> Tensor:
        """The nearest point of the grid."""
        scale = x[0].dtype.type(self.scale)
        steps = c.clip(np.rint(x[0] / scale), self.low, self.high)
        steps *= scale
        return steps

    def slope(self, x: Tensor) -> Tensor:
        """1 strictly inside the range, else 0."""
        return c.inside(x, self.low * self.scale, self.high * self.scale)

    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """Infinite: the function jumps."""
        return (float("inf"),)


def dequantised(values: Array, scale: Array, zero_point: Array | None, axis: int = 1, block: int = 0) -> Array:
    """Scale (q - zero point) of a constant, float32.

    Args:
        values: Integers q, of any width, or floats of 8 bits.
        scale: One number; one per entry of the axis; or with blocks one per block of that many entries along it.
        zero_point: As the scale; None for 0.
        axis: Which.
        block: Length of a block; 0 for none.
    """
    q: Array = values.astype(np.float32 if values.itemsize <= 2 else np.float64)
    if zero_point is not None:
        np.subtract(q, _spread(zero_point, q, axis, block), out=q, casting="same_kind")
    np.multiply(q, _spread(scale, q, axis, block), out=q, casting="same_kind")
    return np.asarray(q, np.float32)


def quantised(values: Array, scale: Array, zero_point: Array, axis: int = 1) -> Array:
    """Round and saturate a constant: integers of the zero point's type."""
    limits = np.iinfo(zero_point.dtype)
    steps = np.rint(np.asarray(values, np.float32) / _spread(scale, values, axis, 0).astype(np.float32))
    moved = steps + _spread(zero_point, values, axis, 0)
    return np.asarray(np.clip(moved, limits.min, limits.max), zero_point.dtype)


def _spread(parameter: Array, values: Array, axis: int, block: int) -> Array:
    """A scale or zero point, float64, ready to be broadcast against the values."""
    parameter = np.asarray(parameter, np.float64)
    if block:
        block = min(block, values.shape[axis])
        if parameter.shape[axis] != -(-values.shape[axis] // block):
            raise ValueError(f"{parameter.shape[axis]} blocks of {block} for {values.shape[axis]} entries")
        return np.asarray(np.repeat(parameter, block, axis).take(range(values.shape[axis]), axis))
    if parameter.size == 1:
        return parameter.reshape(())
    shape = [1] * values.ndim
    shape[axis] = parameter.size
    return parameter.reshape(shape)


def parse_quantize(node: Node) -> Operator:
    """QuantizeLinear together with the DequantizeLinear behind it, by one scale and zero point."""
    node.shape()
    scale, zero_point = _scale(node), node.constant(2)
    if not node.attributes.get(PAIRED):
        readers = node.attributes.get(READERS, "nothing")
        why = f"its integers are read by {readers}, not by one DequantizeLinear with its scale and zero point"
        raise Unsupported(why, AS_QDQ)
    kind = _integers(node) if zero_point is None else zero_point.dtype
    limits = np.iinfo(kind) if kind in (np.uint8, np.int8, np.uint16, np.int16) else None
    if limits is None:
        raise Unsupported(f"it rounds to {kind}; onnxbound reads integers of 8 and 16 bits", FLOAT)
    offset = 0 if zero_point is None else int(np.ravel(zero_point)[0])
    low, high = limits.min - offset, limits.max - offset
    return SaturatingRounding(scale, low, high, is_activation=0 in (low, high))


def parse_dequantize(node: Node) -> Operator:
    """DequantizeLinear of integers that are the net's input: scale (q - zero point)."""
    node.shape()
    scale, zero_point = _scale(node), node.constant(2)
    offset = 0.0 if zero_point is None else float(np.ravel(zero_point)[0])
    return ElementwiseAffine(np.array(scale), np.array(-scale * offset), trained=0)


def _scale(node: Node) -> float:
    scale, zero_point = node.constant(1), node.constant(2)
    if scale is None or (zero_point is None and len(node.shapes) > 2):
        raise Unsupported("its scale or zero point is computed from the rows", "quantise statically, or " + FLOAT)
    if np.size(scale) != 1 or node.attributes.get("block_size", 0):
        raise Unsupported("it has one scale per channel or block of an activation", "quantise activations per tensor")
    value = float(np.ravel(scale)[0])
    if not 0 < value < float("inf"):
        raise Unsupported(f"its scale is {value}", "quantise again")
    return value


def _integers(node: Node) -> np.dtype[np.generic]:
    """The type without a zero point: `output_dtype` if given, else uint8."""
    element = node.attributes.get("output_dtype", 0) or TensorProto.UINT8
    return np.dtype(helper.tensor_dtype_to_np_dtype(element))


PARSERS = {
    f"{domain}{op_type}": parse
    for domain in ("", "com.microsoft::")
    for op_type, parse in (("QuantizeLinear", parse_quantize), ("DequantizeLinear", parse_dequantize))
}
"""Onnxruntime has both under its own domain too, for 16 bits in old opsets."""
