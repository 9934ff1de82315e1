"""How operators with sliding windows are written: Conv and pooling."""

from math import prod

import numpy as np

from onnxbound.codec.grammar import Grammar
from onnxbound.codec.range_coder import Malformed
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.conv import Conv
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.operator import Array, Operator, Shape
from onnxbound.operators.windows import Windows

LARGEST_ROW = 1 << 26
"""Numbers that one tensor of a row may have."""

_KERNELS, _KERNEL_WEIGHTS = (3, 5, 1, 7, 2, 4), (16, 8, 4, 2, 1, 1, 1)
_STRIDES, _STRIDE_WEIGHTS = (1, 2, 4), (11, 4, 1, 1)
_POOLS, _POOL_WEIGHTS = (2, 3), (10, 5, 2)
_DILATIONS, _DILATION_WEIGHTS = (1, 2), (30, 1, 1)


def hollow(*shape: int) -> Array:
    """A placeholder of that shape, which takes no memory, for a tensor whose numbers come later."""
    return np.broadcast_to(np.zeros((), np.float32), shape)


def unfolded(operator: Operator, row: Shape) -> tuple[int, int]:
    """The numbers of a row with its padding, and of all its windows: what evaluating an operator may hold."""
    if not isinstance(operator, Conv | MaxPool | AveragePool):
        return 0, 0
    w = operator.windows
    padded = (sum(lengths) for lengths in zip(w.size, w.begin, w.end, strict=True))
    return row[0] * prod(padded), row[0] * prod(w.kernel) * prod(w.output)


def trimmed(windows: Windows) -> Windows:
    """The same windows without the padding that none of them reaches."""
    w = windows
    return Windows(w.size, w.kernel, w.strides, w.dilations, w.begin, w.reach)


def code_conv(g: Grammar, given: Conv | None, shapes: tuple[Shape, ...]) -> Conv:
    """Groups, units, windows, and whether there is a bias."""
    channels = shapes[0][0]
    divisors = tuple(dict.fromkeys((1, channels)))
    groups = g.usual(None if given is None else given.groups, divisors, (60, 3, 1) if len(divisors) == 2 else (60, 4))
    units = g.count(None if given is None else given.channels)
    if groups < 1 or channels % groups or units % groups:
        raise Malformed("the groups of a Conv do not divide its channels")
    windows = _code_windows(g, None if given is None else given.windows, shapes[0], pool=False)
    biased = g.flag(None if given is None else given.bias is not None, 15, 1)
    if units * channels * prod(windows.kernel) > LARGEST_ROW * groups:
        raise Malformed("a weight is too large")
    weight = hollow(units, channels // groups, *windows.kernel)
    return Conv(weight, None, hollow(units) if biased else None, windows, groups)


def code_max_pool(g: Grammar, given: MaxPool | None, shapes: tuple[Shape, ...]) -> MaxPool:
    """Windows."""
    return MaxPool(_code_windows(g, None if given is None else given.windows, shapes[0], pool=True))


def code_average_pool(g: Grammar, given: AveragePool | None, shapes: tuple[Shape, ...]) -> AveragePool:
    """Windows, and whether padding counts; an incomplete last window only where that makes a difference."""
    counted = g.flag(None if given is None else given.count_pads, 1, 7)
    ceil = counted and g.flag(None if given is None else given.windows.ceil, 1, 7)
    windows = _code_windows(g, None if given is None else given.windows, shapes[0], pool=True)
    if ceil:
        ends = tuple(
            g.natural(None if given is None else n) for n in (given or AveragePool(windows, counted)).windows.end
        )
        w = windows
        windows = Windows(w.size, w.kernel, w.strides, w.dilations, w.begin, ends, ceil=True)
        if windows.output != w.output or not _narrow(windows):
            raise Malformed("the padding of an AveragePool does not fit its windows")
    return AveragePool(windows, counted)


def _code_windows(g: Grammar, given: Windows | None, shape: Shape, *, pool: bool) -> Windows:
    """Kernel, strides, dilations, the padding before and the number of windows; the padding behind follows."""
    size = shape[1:]
    axes = len(size)
    if not 1 <= axes <= 3:
        raise Malformed("windows slide over one to three axes")
    kernel = g.alike(
        None if given is None else given.kernel,
        axes,
        *((_POOLS, _POOL_WEIGHTS) if pool else (_KERNELS, _KERNEL_WEIGHTS)),
    )
    tiled = pool and g.flag(None if given is None else given.strides == given.kernel, 7, 1)
    strides = kernel if tiled else g.alike(None if given is None else given.strides, axes, _STRIDES, _STRIDE_WEIGHTS)
    if pool and not tiled and strides == kernel:
        raise Malformed("the strides of a pool are not in their shortest form")
    dilations = g.alike(None if given is None else given.dilations, axes, _DILATIONS, _DILATION_WEIGHTS)
    if min((*kernel, *strides, *dilations)) < 1 or max((*kernel, *strides, *dilations)) > LARGEST_ROW:
        raise Malformed("a kernel, stride or dilation is not possible")
    span = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    usual = ((0,) * axes, tuple((n - 1) // 2 for n in span))
    begin = _code_one_of(g, None if given is None else given.begin, usual, (12, 3, 1) if pool else (7, 8, 1), 0)
    room = [n + 2 * b - k for n, b, k in zip(size, begin, span, strict=True)]
    even = tuple(r // s + 1 for r, s in zip(room, strides, strict=True))
    covering = tuple(-(-n // s) for n, s in zip(size, strides, strict=True))
    output = _code_one_of(g, None if given is None else given.output, (even, covering), (14, 1, 1), 1)
    reach = tuple(
        max((o - 1) * s + k - n - b, 0) for o, s, k, n, b in zip(output, strides, span, size, begin, strict=True)
    )
    windows = Windows(size, kernel, strides, dilations, begin, reach)
    if min(output) < 1 or prod(windows.padded) > LARGEST_ROW or windows.output != output:
        raise Malformed("the windows do not fit their input")
    if pool and not _narrow(windows):
        raise Malformed("the padding of a pool is not narrower than its kernel")
    return windows


def _narrow(windows: Windows) -> bool:
    """Whether the padding is narrower than the kernel, as runtimes want it of a pool."""
    w = windows
    return all(max(b, e) < k for b, e, k in zip(w.begin, w.end, w.kernel, strict=True))


def _code_one_of(
    g: Grammar, given: Shape | None, usual: tuple[Shape, ...], weights: tuple[int, ...], least: int
) -> Shape:
    """One of the usual tuples, or another one number by number."""
    distinct = tuple(dict.fromkeys(usual))
    place = None if given is None else distinct.index(given) if given in distinct else len(distinct)
    chosen = g.choice(place, (*weights[: len(distinct)], weights[-1]))
    if chosen < len(distinct):
        return distinct[chosen]
    numbers = tuple(g.natural(None if given is None else given[axis] - least) + least for axis in range(len(usual[0])))
    if numbers in distinct or max(numbers) > LARGEST_ROW:
        raise Malformed("padding is not in its shortest form, or too large")
    return numbers
