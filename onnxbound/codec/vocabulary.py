"""The words of the grammar: one function per operator, which writes its settings or reads them.

A function is given the operator, or None where it reads, and the shapes of a row of its inputs. The tensors of an
operator that is read are placeholders with a shape; their numbers come later.
"""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from onnxbound.codec.grammar import Grammar
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.select_words import code_select
from onnxbound.codec.window_words import LARGEST_ROW, code_average_pool, code_conv, code_max_pool, hollow
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.bilinear import MatrixProduct, Product
from onnxbound.operators.branches import Add, Concat
from onnxbound.operators.clip import Clip
from onnxbound.operators.conv import Conv
from onnxbound.operators.dense import Dense
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.leaky_relu import LeakyRelu
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.mean import Mean
from onnxbound.operators.operator import Array, Operator, Shape
from onnxbound.operators.pad import Pad
from onnxbound.operators.quantisation import SaturatingRounding
from onnxbound.operators.relu import Relu
from onnxbound.operators.reshape import Reshape
from onnxbound.operators.select import Select
from onnxbound.operators.smooth import Smooth, smooth
from onnxbound.operators.softmax import Softmax
from onnxbound.operators.transpose import Transpose

_FORMS = (
    ("Sigmoid", 0), ("Tanh", 0), ("Gelu", 0), ("Swish", 1), ("Elu", 3), ("Sqrt", 0), ("Reciprocal", 0), ("Pow", 1),
    ("GeluTanh", 0), ("HardSwish", 0), ("Mish", 0), ("Softplus", 0), ("Softsign", 0), ("Erf", 0), ("Exp", 0),
    ("Log", 0),
)  # fmt: skip
"""Smooth functions, and how many numbers each has."""

_RANKS, _RANK_WEIGHTS = (1, 2, 3), (4, 4, 4, 1)


def code_shape(g: Grammar, given: Shape | None) -> Shape:
    """The lengths of some axes, one after the other."""
    rank = g.usual(None if given is None else len(given), _RANKS, _RANK_WEIGHTS)
    if rank > 8:
        raise Malformed("a tensor has too many axes")
    shape = tuple(g.count(None if given is None else given[axis]) for axis in range(rank))
    if prod(shape) > LARGEST_ROW:
        raise Malformed("a tensor is too large")
    return shape


def _dense(g: Grammar, given: Dense | None, shapes: tuple[Shape, ...], classes: int) -> Dense:
    if not shapes[0]:
        raise Malformed("a dense layer reads a single number")
    last = g.flag(None if given is None else given.channels == classes, 1, 1)
    units = classes if last else g.unusual(g.count(None if given is None else given.channels), (classes,))
    if units * prod(shapes[0]) > LARGEST_ROW:
        raise Malformed("a weight is too large")
    biased = g.flag(None if given is None else given.bias is not None, 15, 1)
    return Dense(hollow(units, shapes[0][-1]), None, hollow(units) if biased else None)


def _clip(g: Grammar, given: Clip | None, _: tuple[Shape, ...]) -> Clip:
    ends = []
    for end in (None, None) if given is None else (given.low, given.high):
        bounded = g.flag(None if end is None else bool(np.isfinite(end)), 15, 1)
        ends.append(g.number(end) if bounded else np.inf)
    low, high = ends[0] if np.isfinite(ends[0]) else -np.inf, ends[1]
    if low > high:
        raise Malformed("the lower end of a Clip lies above its upper end")
    return Clip(low, high)


def _constant(g: Grammar, given: Array | None, shape: Shape, absent: float | None) -> Array:
    """A number, or one per entry of some axes of a row; `absent` is one that need not be written."""
    written = absent is None or g.flag(None if given is None else given.ndim > 0 or float(given) != absent, 3, 1)
    if not written:
        return np.array(absent, np.float32)
    if g.flag(None if given is None else given.ndim == 0, 1, 1):
        number = g.number(None if given is None else float(given))
        if number == absent:
            raise Malformed("a number is written that equals its default")
        return np.array(number, np.float32)
    usual: tuple[int, ...] = (0,) if len(shape) == 3 else (len(shape) - 1,)
    axes = None if given is None else tuple(axis for axis, n in enumerate(given.shape) if n > 1)
    if not g.flag(None if axes is None else axes == usual, 15, 1):
        usual = tuple(axis for axis in range(len(shape)) if g.flag(None if axes is None else axis in axes, 1, 1))
    lengths = tuple(n if axis in usual else 1 for axis, n in enumerate(shape))
    if prod(lengths) == 1 or (given is None and any(shape[axis] == 1 for axis in usual)):
        raise Malformed("a tensor of one number, or an axis of length 1, is written")
    return hollow(*lengths)


def _leaky(g: Grammar, given: LeakyRelu | None, shapes: tuple[Shape, ...]) -> LeakyRelu:
    return LeakyRelu(_constant(g, None if given is None else given.negative_slope, shapes[0], None))


def _affine(g: Grammar, given: ElementwiseAffine | None, shapes: tuple[Shape, ...]) -> ElementwiseAffine:
    scale = _constant(g, None if given is None else given.scale, shapes[0], 1.0)
    shift = _constant(g, None if given is None else given.shift, shapes[0], 0.0)
    return ElementwiseAffine(scale, shift, 0)


def _mean(g: Grammar, given: Mean | None, shapes: tuple[Shape, ...]) -> Mean:
    rank = len(shapes[0])
    behind = tuple(range(1, rank))
    if g.flag(None if given is None else given.axes == behind, 7, 1):
        axes = behind
    else:
        asked = [g.flag(None if given is None else axis in given.axes, 1, 1) for axis in range(rank)]
        axes = tuple(axis for axis in range(rank) if asked[axis])
        if axes == behind:
            raise Malformed("the axes of a mean are not in their shortest form")
    return Mean(axes, g.flag(None if given is None else given.keep, 7, 1))


def _add(g: Grammar, given: Add | None, shapes: tuple[Shape, ...]) -> Add:
    if g.flag(None if given is None else min(given.signs) > 0, 15, 1):
        return Add((1,) * len(shapes))
    signs = tuple(1 if g.flag(None if given is None else given.signs[k] > 0, 1, 1) else -1 for k in range(len(shapes)))
    if min(signs) > 0:
        raise Malformed("signs are not in their shortest form")
    return Add(signs)


def _concat(g: Grammar, given: Concat | None, _: tuple[Shape, ...]) -> Concat:
    return Concat(g.natural(None if given is None else given.axis))


def _reshape(g: Grammar, given: Reshape | None, shapes: tuple[Shape, ...]) -> Reshape:
    flat = (prod(shapes[0]),)
    if g.flag(None if given is None else given.target == flat, 15, 1):
        return Reshape(flat)
    target = code_shape(g, None if given is None else given.target)
    if target == flat:
        raise Malformed("a vector is not in its shortest form")
    return Reshape(target)


def _transpose(g: Grammar, given: Transpose | None, shapes: tuple[Shape, ...]) -> Transpose:
    left = list(range(len(shapes[0])))
    order: list[int] = []
    while left:
        place = None if given is None else left.index(given.order[len(order)])
        order.append(left.pop(g.choice(place, (1,) * len(left))))
    return Transpose(tuple(order))


def _pad(g: Grammar, given: Pad | None, shapes: tuple[Shape, ...]) -> Pad:
    lengths = [0] * (2 * len(shapes[0])) if given is None else [*given.begin, *given.end]
    padding = tuple(g.natural(None if given is None else n) for n in lengths)
    plain = g.flag(None if given is None else given.value == 0, 15, 1)
    value = 0.0 if plain else g.number(None if given is None else given.value)
    rank = len(shapes[0])
    pad = Pad(padding[:rank], padding[rank:], value)
    if prod(pad.output_shape(*shapes)) > LARGEST_ROW:
        raise Malformed("a tensor is too large")
    return pad


def _smooth(g: Grammar, given: Smooth | None, _: tuple[Shape, ...]) -> Smooth:
    names = [name for name, _ in _FORMS]
    name, count = _FORMS[g.choice(None if given is None else names.index(given.form), (2,) * 8 + (1,) * 8)]
    numbers = [g.number(None if given is None else given.numbers[k]) for k in range(count)]
    if name == "Elu" and numbers[2] <= 0:
        raise Malformed("the width of an Elu is not positive")
    return smooth(name, *numbers)


def _softmax(g: Grammar, given: Softmax | None, shapes: tuple[Shape, ...]) -> Softmax:
    axis = g.natural(None if given is None else -given.axis - 1)
    if axis >= len(shapes[0]):
        raise Malformed("the axis of a Softmax does not exist")
    return Softmax(-axis - 1)


def _round(g: Grammar, given: SaturatingRounding | None, _: tuple[Shape, ...]) -> SaturatingRounding:
    scale = g.number(None if given is None else given.scale)
    low, high = (
        g.integer(None if given is None else n) for n in ((0, 0) if given is None else (given.low, given.high))
    )
    if scale <= 0 or not -(1 << 17) < low < high < 1 << 17:
        raise Malformed("the scale or range of a rounding is not possible")
    return SaturatingRounding(scale, low, high, is_activation=0 in (low, high))


class Word(NamedTuple):
    """How one kind of operator is written.

    Attributes:
        kind: Its class.
        code: Its settings, with a `Grammar`, the operator or None, and the shapes of its inputs.
        inputs: How many tensors it reads; 0 where that is written.
        tensors: Its attributes that may be tensors with numbers of their own.
    """

    kind: type[Operator]
    code: Callable[..., Any]
    inputs: int = 1
    tensors: tuple[str, ...] = ()


WORDS = (
    Word(Conv, code_conv, tensors=("weight", "bias")),
    Word(Dense, _dense, tensors=("weight", "bias")),
    Word(Relu, lambda *_: Relu()),
    Word(MaxPool, code_max_pool),
    Word(Reshape, _reshape),
    Word(Add, _add, 0),
    Word(AveragePool, code_average_pool),
    Word(Mean, _mean),
    Word(LeakyRelu, _leaky, tensors=("negative_slope",)),
    Word(Clip, _clip),
    Word(ElementwiseAffine, _affine, tensors=("scale", "shift")),
    Word(Concat, _concat, 0),
    Word(Smooth, _smooth),
    Word(Softmax, _softmax),
    Word(Product, lambda *_: Product(), 2),
    Word(MatrixProduct, lambda *_: MatrixProduct(), 2),
    Word(Transpose, _transpose),
    Word(Pad, _pad),
    Word(Select, code_select),
    Word(SaturatingRounding, _round),
)
"""Every operator that the representation has; their places are part of the format."""
