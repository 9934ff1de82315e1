"""Formulas for NumPy and ONNX at once: given arrays they compute, given symbols they write nodes.

The notation is NumPy's: its operators, its universal functions and some methods of arrays work on symbols as they are.
Functions of other kinds, and those for which ONNX has one node where NumPy takes several steps, are here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike
from onnx import helper

from onnxbound.operators.emitter import Emitter
from onnxbound.operators.shape import Array, Shape

Tensor = Any
"""An `Array` or a `Symbol`; a formula does not know which."""

_FLOAT = np.dtype(np.float32)
_TRUTH = np.dtype(np.bool_)

_NODES = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "negative": "Neg",
    "absolute": "Abs",
    "rint": "Round",
    "sqrt": "Sqrt",
    "exp": "Exp",
    "log": "Log",
    "tanh": "Tanh",
    "expit": "Sigmoid",
    "erf": "Erf",
    "maximum": "Max",
    "bitwise_and": "And",
    "bitwise_or": "Or",
}
_COMPARISONS = {"equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less"}
"""Universal functions of NumPy and SciPy to operators of ONNX."""


@dataclass(frozen=True, slots=True, eq=False)
class Symbol(NDArrayOperatorsMixin):
    """A tensor of the graph that is being written; what NumPy would compute of it is appended as nodes.

    Attributes:
        e: The graph.
        name: Name of the tensor.
        shape: Lengths of its axes; n, the number of rows, is not known yet, and -k stands for k n.
        dtype: Type of its entries.
    """

    e: Emitter
    name: str
    shape: Shape
    dtype: np.dtype[Any] = _FLOAT

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def apply(
        self, op: str, *others: Tensor, shape: Shape | None = None, dtype: DTypeLike | None = None, **attributes: Any
    ) -> "Symbol":
        """Append a node of this tensor and others; its result is like this tensor, unless shape or type are given."""
        name = self.e.node(op, self.name, *map(self._operand, others), **attributes)
        return Symbol(self.e, name, self.shape if shape is None else shape, np.dtype(dtype or self.dtype))

    def _operand(self, value: Tensor) -> str:
        """The name of a symbol, an array or a number; a text is one already."""
        if isinstance(value, str):
            return value
        if isinstance(value, Symbol):
            return value.name
        return self.e.constant(value) if isinstance(value, np.ndarray) else self.e.number(value, self.dtype)

    def __array_ufunc__(self, function: Any, method: str, *inputs: Tensor, **_: Any) -> "Symbol":
        """Append the node of a universal function; in a graph nothing is done in place, so `out` is left alone."""
        assert method == "__call__"
        if function is np.matmul:
            return self._product(*inputs)
        shape, compares = _common_shape(*map(np.shape, inputs)), function.__name__ in _COMPARISONS
        op = (_COMPARISONS if compares else _NODES)[function.__name__]
        name = self.e.node(op, *map(self._operand, inputs))
        return Symbol(self.e, name, shape, _TRUTH if compares else self.dtype)

    def _product(self, left: "Symbol", right: Tensor) -> "Symbol":
        """A matrix product; a constant matrix is stored as it lies in memory."""
        shape = (*_common_shape(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
        if isinstance(right, Symbol) or left.ndim > 2:
            return left.apply("MatMul", right, shape=shape)
        stored = in_memory(right)
        return left.apply("Gemm", stored, shape=shape, transB=int(stored is not right))

    def __getitem__(self, place: Any) -> "Symbol":
        """Slices, where those of all rows are whole; or by a constant array, the entries along the last axis given."""
        given = place if isinstance(place, tuple) else (place,)
        if given[0] is ...:
            given = (*(slice(None),) * (self.ndim - len(given) + 1), *given[1:])
        if isinstance(given[-1], np.ndarray):
            axis, index = len(given) - 1, given[-1]
            shape = (*self.shape[:axis], *index.shape, *self.shape[axis + 1 :])
            return self.apply("Gather", index, shape=shape, axis=axis)
        lengths, cuts = list(self.shape), []
        for axis, part in enumerate(given):
            if part != slice(None):
                start, stop, step = part.indices(self.shape[axis])
                lengths[axis] = len(range(start, stop, step))
                # Going backwards to the first entry, the end stands before all entries, counted from the last.
                cuts.append((start, stop if stop >= 0 else -1 - self.shape[axis], axis, step))
        numbers = [self.e.integers(*column) for column in zip(*cuts, strict=True)]
        return self.apply("Slice", *numbers, shape=tuple(lengths))

    def reshape(self, *shape: int) -> "Symbol":
        """The entries in another shape, one length of which may be negative: it follows from the others."""
        known = prod(n for n in shape if n >= 0)
        full = tuple(n if n >= 0 else prod(self.shape) // known for n in shape)
        if full == self.shape:
            return self
        return self.apply("Reshape", self.e.integers(*(max(n, -1) for n in shape)), shape=full)

    def transpose(self, *order: int) -> "Symbol":
        """The axes in another order."""
        return self.apply("Transpose", shape=tuple(self.shape[axis] for axis in order), perm=order)

    def swapaxes(self, one: int, other: int) -> "Symbol":
        """Two axes in each other's place."""
        order = list(range(self.ndim))
        order[one], order[other] = order[other], order[one]
        return self.transpose(*order)

    def astype(self, dtype: DTypeLike, *, copy: bool = True) -> "Symbol":
        """The entries in another type."""
        return self.apply("Cast", dtype=dtype, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def copy(self) -> "Symbol":
        """The symbol: nothing is overwritten in a graph."""
        return self

    def reduce(self, op: str, axis: tuple[int, ...] | int, *, keepdims: bool = False) -> "Symbol":
        """Append a reduction; over no axes it is the tensor itself."""
        axes = {k % self.ndim for k in (axis if isinstance(axis, tuple) else (axis,))}
        if not axes:
            return self
        kept = [1 if k in axes else n for k, n in enumerate(self.shape) if keepdims or k not in axes]
        return self.apply(op, self.e.integers(*sorted(axes)), shape=tuple(kept), keepdims=int(keepdims))

    def sum(self, axis: tuple[int, ...] | int, *, keepdims: bool = False) -> "Symbol":
        """Sums over axes."""
        return self.reduce("ReduceSum", axis, keepdims=keepdims)

    def mean(self, axis: tuple[int, ...] | int, *, keepdims: bool = False) -> "Symbol":
        """Means over axes."""
        return self.reduce("ReduceMean", axis, keepdims=keepdims)

    def max(self, axis: tuple[int, ...] | int) -> "Symbol":
        """Maxima over axes."""
        return self.reduce("ReduceMax", axis)

    def any(self, axis: tuple[int, ...]) -> "Symbol":
        """1 where an entry is true, else 0: ReduceMax takes no booleans before opset 20."""
        return self.astype(_FLOAT).max(axis)


def _common_shape(*shapes: Shape) -> Shape:
    """What tensors broadcast to."""
    rank = max(map(len, shapes))
    columns = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
    return tuple(next((n for n in column if n != 1), 1) for column in columns)


def beside(t: Tensor, values: Array) -> Tensor:
    """Constants as t is: the array itself, or its symbol."""
    return Symbol(t.e, t.e.constant(values), values.shape, values.dtype) if isinstance(t, Symbol) else values


def in_memory(weight: Array) -> Array:
    """A matrix or its transpose, whichever lies row by row; of a vector the one with one row."""
    by_rows, by_columns = weight.flags.c_contiguous, weight.flags.f_contiguous
    return weight if by_rows and not (by_columns and len(weight) > 1) else weight.T


def concatenate(parts: Sequence[Tensor], axis: int) -> Tensor:
    """Tensors side by side along an axis."""
    first = parts[0]
    if not isinstance(first, Symbol):
        return np.concatenate(parts, axis=axis)
    if len(parts) == 1:
        return first
    shape = (*first.shape[:axis], sum(part.shape[axis] for part in parts), *first.shape[axis + 1 :])
    return first.apply("Concat", *parts[1:], shape=shape, axis=axis)


def split(x: Tensor, lengths: Sequence[int], axis: int) -> Sequence[Tensor]:
    """A tensor cut into parts along an axis."""
    if isinstance(x, Symbol) and len(lengths) == 1:
        return [x]
    if not isinstance(x, Symbol):
        return np.split(x, np.cumsum(lengths)[:-1], axis=axis)
    names = x.e.outputs(len(lengths), "Split", x.name, x.e.integers(*lengths), axis=axis)
    shapes = ((*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in lengths)
    return [Symbol(x.e, name, shape, x.dtype) for name, shape in zip(names, shapes, strict=True)]


def zeros(shape: Shape, like: Tensor) -> Tensor:
    """Zeros for as many rows as another tensor has, and of its type."""
    if not isinstance(like, Symbol):
        return np.zeros(shape, like.dtype)
    e = like.e
    axis, other = (next(k for k, n in enumerate(lengths) if n < 0) for lengths in (shape, like.shape))
    rows = e.node("Shape", like.name, start=other, end=other + 1)
    full = e.node("Concat", e.integers(*shape[:axis]), rows, e.integers(*shape[axis + 1 :]), axis=0)
    return Symbol(e, e.node("ConstantOfShape", full), shape)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of the shape, the type and the memory layout of a tensor."""
    return zeros(x.shape, x) if isinstance(x, Symbol) else np.zeros_like(x)


def broadcast_to(x: Tensor, shape: Shape) -> Tensor:
    """A tensor repeated along axes of length 1; that of the rows is as it is."""
    if not isinstance(x, Symbol):
        return np.broadcast_to(x, shape)
    return x.apply("Expand", x.e.integers(*(max(n, 1) for n in shape)), shape=shape)


def pad(x: Tensor, begin: Shape, end: Shape, value: float = 0.0) -> Tensor:
    """A constant before and behind every axis."""
    shape = tuple(b + n + e for b, n, e in zip(begin, x.shape, end, strict=True))
    if isinstance(x, Symbol):
        shape = tuple(n if n < 0 else m for n, m in zip(x.shape, shape, strict=True))
        return x.apply("Pad", x.e.integers(*begin, *end), value, shape=shape)
    result = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
    result[tuple(slice(b, b + n) for b, n in zip(begin, x.shape, strict=True))] = x
    return result


def take(table: Array, index: Tensor) -> Tensor:
    """Entries of a constant table along its first axis, `-1` the last."""
    if not isinstance(index, Symbol):
        return np.take(table, np.where(index < 0, index + len(table), index), axis=0, mode="clip")
    name = index.e.node("Gather", index.e.constant(table), index.name)
    return Symbol(index.e, name, (*index.shape, *table.shape[1:]), table.dtype)


def where(condition: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """`one` where the condition holds, else `other`."""
    if not isinstance(condition, Symbol):
        return np.where(condition, one, other)
    kind = next((value.dtype for value in (one, other) if isinstance(value, Symbol)), _FLOAT)
    return condition.apply("Where", *map(replace(condition, dtype=kind)._operand, (one, other)), dtype=kind)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return x.apply("Relu") if isinstance(x, Symbol) else np.maximum(x, x.dtype.type(0))


def leaky_relu(x: Tensor, slope: Array) -> Tensor:
    """x where x > 0, else slope * x."""
    return x.apply("PRelu", slope) if isinstance(x, Symbol) else np.where(x > 0, x, slope * x)


def softmax(x: Tensor, axis: int) -> Tensor:
    """e^x / sum e^x along an axis."""
    if isinstance(x, Symbol):
        return x.apply("Softmax", axis=axis)
    from scipy import special

    return special.softmax(x, axis=axis)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    from scipy import special

    return special.expit(x)


def erf(x: Tensor) -> Tensor:
    """The error function."""
    from scipy import special

    return special.erf(x)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x)."""
    return x.apply("Softplus") if isinstance(x, Symbol) else np.logaddexp(x, x.dtype.type(0))


def clip(x: Tensor, low: float, high: float) -> Tensor:
    """min(max(x, low), high)."""
    if not isinstance(x, Symbol):
        return np.clip(x, low, high)
    return x.apply("Clip", *(end if np.isfinite(end) else "" for end in (low, high)))


def inside(x: Tensor, low: float, high: float) -> Tensor:
    """1 where low < x < high, else 0."""
    kind = x.dtype.type
    return ((x > kind(low)) & (x < kind(high))).astype(x.dtype)
