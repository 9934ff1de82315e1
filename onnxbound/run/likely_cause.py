"""What is probably wrong with rows on which a net is no better than guessing: cheap guesses, each of them tried."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from onnxbound.data.preprocessing import Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.errors import DataError
from onnxbound.graph.network import Network
from onnxbound.run.forward import ForwardPass

TRIED_ROWS = 256
_WORTH_SAYING = 0.5
"""A guess is reported if it takes away this share of the errors."""

_BETTER = 0.02
"""By so much a later guess has to beat an earlier, simpler one."""

_MUCH_BETTER = 0.25
"""And by so much the guess that classes stand in another order, which fits any labels a little."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class _Guess:
    """Something else that may have been done to the rows.

    Attributes:
        words: What, with the options that do it.
        inputs: The rows as it makes them.
    """

    words: str
    inputs: NDArray[Any]


def likely_cause(network: Network, rows: Rows, forward: ForwardPass) -> str:
    """The guess about scale, layout, order of channels and labels that helps most, in words.

    The first rows of the set are classified anew under each guess.

    Args:
        network: The net.
        rows: Rows on which it errs about as often as guessing does.
        forward: Runs it.
    """
    index = rows.index[np.linspace(0, rows.count - 1, min(TRIED_ROWS, rows.count)).astype(np.int64)]
    labels = rows.labels[np.searchsorted(rows.index, index)]
    best_words, before, least, tried = "", 1.0, 1.0, 0
    for guess in _guesses(network, rows, index):
        predicted = forward.run(guess.inputs).logits.argmax(axis=1)
        for words, wrong, margin in _label_guesses(predicted, labels, network.classes):
            tried += 1
            error = float(np.mean(wrong))
            if tried == 1:
                before = least = error
            elif error < least - margin:
                best_words, least = " and ".join(filter(None, (guess.words, words))), error
    if best_words and least < _WORTH_SAYING * before:
        return f"with {best_words} it errs on {least:.1%} of {len(index)} rows that were tried, instead of {before:.1%}"
    return f"{tried} guesses about scale, layout and labels were tried on {len(index)} rows, and none helps"


def _label_guesses(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> Iterator[tuple[str, NDArray[np.bool_], float]]:
    """The labels as they are, counted from another number, or in another order; and what such a guess has to gain."""
    yield "", predicted != labels, _BETTER
    for start in (1, -1):
        yield f"--labels-start {start}", predicted != labels - start, _BETTER
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    _, order = linear_sum_assignment(confusion, maximize=True)
    yield "the classes in another order (which is not that of training)", predicted != order[labels], _MUCH_BETTER


def _guesses(network: Network, rows: Rows, index: NDArray[np.int64]) -> Iterator[_Guess]:
    """The rows as they are, then each guess by itself and scale together with layout."""
    array, present = rows.array, rows.preprocessing
    raw = array.take(index)

    def convert(options: Preprocessing) -> NDArray[Any] | None:
        try:
            found = converter(
                array.shape[1:], array.dtype, array.name, network.input_shape, network.input_type, options
            )
            inputs = found(raw)
        except DataError:  # it does not fit at all
            return None
        return inputs if inputs.dtype.kind != "f" or np.isfinite(inputs).all() else None

    layouts = dict.fromkeys([present.layout, None, "nhwc", "nchw"])
    scales = [("", present), *_scales(raw, present, array.shape[1:])]
    seen: set[bytes] = set()
    for scale_words, options in scales:
        for layout in layouts:
            inputs = convert(replace(options, layout=layout))
            if inputs is None or inputs.tobytes() in seen:
                continue
            seen.add(inputs.tobytes())
            layout_words = "" if layout == present.layout else f"--layout {layout}" if layout else "no --layout"
            words = " ".join(filter(None, (scale_words, layout_words)))
            yield _Guess(words, inputs)
            if layout == present.layout:
                for arranged, arrange in _arrangements(network.input_shape):
                    yield _Guess(" and ".join(filter(None, (words, arranged))), np.ascontiguousarray(arrange(inputs)))


def _scales(raw: NDArray[Any], present: Preprocessing, shape: tuple[int, ...]) -> Iterator[tuple[str, Preprocessing]]:
    """Usual scales of images, and the mean and deviation of these rows."""
    bytes_like = float(np.abs(raw).max(initial=0)) > 2
    unit, text = (1 / 255, "--scale 1/255") if bytes_like else (1.0, "--scale 1")
    plain = Preprocessing(scale=unit, layout=present.layout)
    yield text, plain
    yield (("--scale 1", replace(plain, scale=1.0)) if bytes_like else ("--scale 255", replace(plain, scale=255.0)))
    yield f"{text} --mean 0.5 --std 0.5", replace(plain, mean=(0.5,), std=(0.5,))
    scaled = raw.astype(np.float64) * unit
    mean, std = float(scaled.mean()), float(scaled.std())
    if std > 0:
        words = f"{text} --mean {mean:.3g} --std {std:.3g}, the mean and deviation of these rows,"
        yield words, replace(plain, mean=(mean,), std=(std,))
    if 3 in (shape[:1] + shape[-1:]):
        words = f"{text} --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"
        yield words, replace(plain, mean=_IMAGENET[0], std=_IMAGENET[1])
    top, factor = 255.0 if bytes_like else 1.0, 1.0 if present.scale is None else present.scale
    negative = replace(present, scale=-factor, mean=tuple(mean - top * factor for mean in present.mean))
    means = ",".join(f"{mean:.4g}" for mean in negative.mean)
    yield f"light and dark exchanged, --scale {-factor:.4g} --mean {means} (and --std as it is),", negative


def _arrangements(shape: tuple[int, ...]) -> Iterator[tuple[str, Callable[[NDArray[Any]], NDArray[Any]]]]:
    """Orders of axes that no option names."""
    if len(shape) == 3 and 3 in (shape[0], shape[-1]):
        channels = 1 if shape[0] == 3 else -1
        yield "the channels in reverse order (BGR)", lambda x: np.flip(x, channels)
    first = len(shape) - 2 if len(shape) != 3 or shape[-1] != 3 else 0
    if len(shape) >= 2 and shape[first] == shape[first + 1] > 1:
        yield "the images transposed", lambda x: np.swapaxes(x, first + 1, first + 2)
