"""Common mistakes with the rows of images, as guesses of how the rows should have been prepared."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.preprocessing import Layout, Numbers, Preprocessing, Shape, converter
from onnxbound.data.rows import Rows
from onnxbound.errors import DataError
from onnxbound.graph.network import Network

Arrange = Callable[[NDArray[Any]], NDArray[Any]]
"""Inputs of the model `(b, *input_shape)` to others of the same shape."""

KNOWN: Mapping[int, Mapping[str, tuple[Numbers, Numbers]]] = {
    1: {"MNIST": (0.1307, 0.3081), "Fashion-MNIST": (0.286, 0.353)},
    3: {
        "CIFAR-10": ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
        "CIFAR-10, std of single images": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.201)),
        "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    },
}
"""Mean and deviation of each channel, for pixels from 0 to 1, by the number of channels."""

_STATISTICS_ROWS, _STATISTICS_ENTRIES = 128, 1 << 22
_LEAST_SIDE = 4


@dataclass(frozen=True)
class Guess:
    """Another way to prepare the rows, which may be the right one.

    Attributes:
        preprocessing: Its numbers and layout.
        words: A change that no parameter makes, in words; empty for none.
        arrange: Makes that change.
    """

    preprocessing: Preprocessing
    words: str = ""
    arrange: Arrange = field(default=lambda inputs: inputs, compare=False)

    def parameters(self, present: Preprocessing) -> Mapping[str, Any]:
        """The parameters that differ from the given ones."""
        said = asdict(present)
        return {name: value for name, value in asdict(self.preprocessing).items() if value != said[name]}

    def inputs(self, network: Network, rows: Rows, raw: NDArray[Any]) -> NDArray[Any] | None:
        """Rows of the file as the model would get them; None where it does not fit."""
        array = rows.array
        try:
            convert = converter(
                array.shape[1:], array.dtype, array.name, network.input_shape, network.input_type, self.preprocessing
            )
        except DataError:
            return None
        inputs = np.ascontiguousarray(self.arrange(convert(raw)))
        return inputs if inputs.dtype.kind != "f" or np.isfinite(inputs).all() else None


def guesses(network: Network, rows: Rows, *, together: bool) -> list[Guess]:
    """Ways to prepare the rows: the present one, then others, the simplest first.

    Args:
        network: The net.
        rows: Its rows.
        together: Also two mistakes at once, one of numbers and one of order.
    """
    present = rows.preprocessing
    numbers = list(_normalisations(rows))
    layouts: tuple[Layout | None, ...] = (None, "nhwc", "nchw", "flat")
    orders = [Guess(replace(present, layout=layout)) for layout in layouts if layout != present.layout]
    orders += [Guess(present, words, arrange) for words, arrange in _arrangements(network.input_shape, rows)]
    result = [*map(Guess, (present, *numbers)), *orders]
    if together:
        for how in (*numbers[:4], numbers[-1]):  # those in between are much like the last
            result += [
                replace(order, preprocessing=replace(how, layout=order.preprocessing.layout)) for order in orders
            ]
    return list(dict.fromkeys(result))


def _normalisations(rows: Rows) -> Iterator[Preprocessing]:
    """Usual scales of images, known statistics and those of these rows."""
    present, shape = rows.preprocessing, rows.array.shape[1:]
    most = max(1, min(_STATISTICS_ROWS, _STATISTICS_ENTRIES // max(1, prod(shape))))
    raw = rows.array.take(rows.index[:: -(-rows.count // most)]).astype(np.float64)
    top = 255.0 if float(np.abs(raw).max(initial=0)) > 2 else 1.0
    unit, full = 1 / top, 255 / top

    def normalised(scale: float, mean: Numbers = 0.0, std: Numbers = 1.0) -> Preprocessing:
        return Preprocessing(scale, mean, std, present.layout)

    for scale in (unit, full):
        yield normalised(scale)
        yield replace(present, scale=scale)
    yield normalised(unit, 0.5, 0.5)
    yield normalised(unit, 0.5)
    factor = 1.0 if present.scale is None else present.scale
    yield replace(present, scale=-factor, mean=tuple(round(mean - top * factor, 6) for mean in present.mean))
    channels = 3 if 3 in (*shape[:1], *shape[-1:]) else 1
    for mean, std in KNOWN[channels].values():
        yield normalised(unit, mean, std)
    if channels == 3:  # as Caffe did it
        yield normalised(full, (123.68, 116.78, 103.94))
    others = tuple(range(raw.ndim - 1)) if shape[-1:] == (3,) else (0, *range(2, raw.ndim))
    for axes in (None, others)[: 1 + (channels == 3)]:
        centre, spread = (np.atleast_1d(statistic(raw * unit, axis=axes).round(4)) for statistic in (np.mean, np.std))
        yield normalised(unit, centre, np.where(spread > 0, spread, 1.0))


def _arrangements(shape: Shape, rows: Rows) -> Iterator[tuple[str, Arrange]]:
    """Orders of the entries of a row that no parameter names."""
    sizes = tuple(n for n in shape if n != 1)
    flat = len(sizes) == 1 or len(rows.array.shape) == 2 or rows.preprocessing.layout == "flat"
    side = isqrt(prod(sizes) // 3)
    coloured = 3 * side**2 == prod(sizes) and side >= _LEAST_SIDE
    if flat and coloured:
        yield "the channels of each row stored last", _permuted(shape, (side, side, 3), (2, 0, 1))
        yield "the channels of each row stored first", _permuted(shape, (3, side, side), (1, 2, 0))
    if len(sizes) == 1:
        square = isqrt(sizes[0])
        sizes = (square, square) if square**2 == sizes[0] else (3, side, side) if coloured else ()
    if len(sizes) not in (2, 3):
        return
    first = 1 if len(sizes) == 3 and sizes[-1] != 3 else 0
    if sizes[first] == sizes[first + 1] >= _LEAST_SIDE:
        yield "the images transposed", _permuted(shape, sizes, (0, 2, 1) if first else (1, 0, 2)[: len(sizes)])
    if len(sizes) == 3 and 3 in (sizes[0], sizes[-1]):
        channels = 1 if sizes[0] == 3 else -1
        yield "the channels in reverse order (BGR)", lambda x: np.flip(x.reshape(-1, *sizes), channels).reshape(x.shape)


def _permuted(shape: Shape, seen: Shape, axes: tuple[int, ...]) -> Arrange:
    """The entries of a row seen as an array, its axes permuted."""
    behind = (0, *(axis + 1 for axis in axes))
    return lambda inputs: inputs.reshape(-1, *seen).transpose(behind).reshape(-1, *shape)
