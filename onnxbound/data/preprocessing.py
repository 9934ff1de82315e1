"""Rows of the file to rows for the model: `(x * scale - mean) / std`, and the layout."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from onnxbound.errors import DataError, Problem, UsageError, argument

Layout = Literal["nchw", "nhwc", "flat"]
Shape = tuple[int, ...]
Convert = Callable[[NDArray[Any]], NDArray[Any]]
"""From rows `(b, *row)` of the file to contiguous rows `(b, *input_shape)` of the model's element type."""

_AT_A_TIME = 512
"""Rows that are converted at a time: the float64 numbers between stay in a cache (a third of the time for CIFAR-10)."""

Numbers = float | str | Sequence[float] | NDArray[Any]


@dataclass(frozen=True, slots=True, init=False)
class Preprocessing:
    """How to turn rows of a file into rows for a model: `(x * scale - mean) / std`.

    Attributes:
        scale: A factor. None means no factor; a float input then does not accept integers.
        mean: One number, or one per channel: as numbers, an array, or a string such as "1/255" or "0.49,0.48,0.45".
            It is stored as a tuple.
        std: One number, or one per channel, in the same forms as `mean`.
        layout: The layout of rows in the file, if it is not the model's; "flat" allows any reshape.

    >>> from onnxbound import Preprocessing
    >>> Preprocessing(scale="1/255", mean=0.1307, std=0.3081).mean
    (0.1307,)
    """

    scale: float | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Layout | None

    def __init__(
        self, scale: float | str | None = None, mean: Numbers = 0.0, std: Numbers = 1.0, layout: Layout | None = None
    ) -> None:
        if layout not in (None, *get_args(Layout)):
            raise UsageError("usage", f'`layout` must be "nchw", "nhwc" or "flat", not {layout!r}.')
        factor = () if scale is None else _numbers("scale", scale)
        if len(factor) > 1 or 0 in factor:
            raise UsageError("usage", f"`scale` must be one number other than 0, not {scale!r}.")
        spread = _numbers("std", std)
        if 0 in spread:
            raise UsageError("usage", f"`std` must not contain 0, as {std!r} does.")
        object.__setattr__(self, "scale", factor[0] if factor else None)
        object.__setattr__(self, "mean", _numbers("mean", mean))
        object.__setattr__(self, "std", spread)
        object.__setattr__(self, "layout", layout)

    @property
    def bits(self) -> int:
        """32 bits per number that may have been computed from the data; a scale of 1 or 1/255 is free."""
        numbers = (*(value for value in self.mean if value != 0), *(value for value in self.std if value != 1))
        return 32 * (len(numbers) + (self.scale not in (None, 1.0, 1 / 255)))


def _numbers(parameter: str, given: object) -> tuple[float, ...]:
    """Turn a number, numbers, an array or a text into a tuple."""
    if isinstance(given, str):
        return parse_numbers(parameter, given)
    try:
        array = np.asarray(given)
    except (RuntimeError, TypeError, ValueError):  # ragged, or a tensor that NumPy does not take
        array = np.array(None)
    numbers = tuple(map(float, array.reshape(-1))) if array.dtype.kind in "fiu" else ()
    if not numbers or not all(map(isfinite, numbers)):
        raise UsageError("usage", f"`{parameter}` takes finite numbers, not {given!r}.")
    return numbers


def parse_numbers(parameter: str, text: str) -> tuple[float, ...]:
    """Read the numbers of a parameter, separated by commas; each is a decimal or a fraction.

    Raises:
        UsageError: It is something else.

    >>> parse_numbers("mean", "0.5,1/4")
    (0.5, 0.25)
    """
    try:
        parts = [part.split("/") for part in text.split(",")]
        return tuple(float(part[0]) if len(part) == 1 else _quotient(*part) for part in parts)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise UsageError(
            "usage", f"`{parameter}` takes numbers such as 1/255 or 0.49,0.48,0.45, not {text!r}."
        ) from error


def _quotient(numerator: str, denominator: str) -> float:
    return float(numerator) / float(denominator)


def converter(
    stored: Shape, dtype: np.dtype[Any], name: str, expected: Shape, wanted: np.dtype[Any], options: Preprocessing
) -> Convert:
    """Return a function from rows of the file to rows for the model.

    The arithmetic is float64, in the layout of the file; the result is rounded once to the model's element type.

    Args:
        stored: Shape of a row in the file.
        dtype: Element type in the file.
        name: What to call the file's array in messages.
        expected: Shape of a row of the model's input.
        wanted: Element type of the model's input.
        options: Preprocessing.

    Raises:
        DataError: data-shape or data-type, with the parameter that would make it fit.
    """
    arrange = _arrangement(stored, name, expected, options.layout)
    identity = options.scale in (None, 1.0) and options.mean == (0.0,) and options.std == (1.0,)
    _require_type(dtype, name, wanted, options, identity=identity)
    mean = _per_channel(options.mean, "mean", stored, name, options.layout)
    std = _per_channel(options.std, "std", stored, name, options.layout)
    scale = 1.0 if options.scale is None else options.scale

    def convert(rows: NDArray[Any]) -> NDArray[Any]:
        if wanted.kind != "f":
            _require_range(rows, name, wanted)
        found = np.empty((len(rows), *expected), wanted)
        for start in range(0, len(rows), _AT_A_TIME):
            part = rows[start : start + _AT_A_TIME]
            values = part if identity else (part.astype(np.float64) * scale - mean) / std
            with np.errstate(over="ignore"):  # an overflow is found as infinity afterwards
                found[start : start + _AT_A_TIME] = arrange(values)
        return found

    return convert


def _arrangement(stored: Shape, name: str, expected: Shape, layout: Layout | None) -> Convert:
    """Return the reshape and transposition of rows."""
    if layout == "flat" and prod(stored) == prod(expected):
        return lambda rows: rows.reshape(len(rows), *expected)
    if layout == "nhwc" and _fits((*stored[-1:], *stored[:-1]), expected):
        return lambda rows: np.moveaxis(rows, -1, 1).reshape(len(rows), *expected)
    if layout == "nchw" and _fits((*stored[1:], *stored[:1]), expected):
        return lambda rows: np.moveaxis(rows, 1, -1).reshape(len(rows), *expected)
    if layout != "flat" and _fits(stored, expected):
        return lambda rows: rows.reshape(len(rows), *expected)
    do, better = _advice(stored, expected)
    raise DataError(
        "data-shape",
        f"The rows of {name} have the shape {stored}, the model's input has {expected}.",
        [Problem(name, f"expected rows {expected}, found {stored}", do)],
        better,
    )


def _fits(stored: Shape, expected: Shape) -> bool:
    """Whether two shapes are equal except for axes of length 1."""
    return tuple(n for n in stored if n != 1) == tuple(n for n in expected if n != 1)


def _advice(stored: Shape, expected: Shape) -> tuple[str, dict[str, object]]:
    """Say what to do about a shape, in words and as parameters."""
    last, first = argument("layout", "nhwc"), argument("layout", "nchw")
    if _fits((*stored[-1:], *stored[:-1]), expected):
        return f"the file has channels last: {last}", {"layout": "nhwc"}
    if _fits((*stored[1:], *stored[:1]), expected):
        return f"the file has channels first: {first}", {"layout": "nchw"}
    if prod(stored) == prod(expected):
        flat = argument("layout", "flat")
        return f"the sizes agree; if the entries are in the model's order: {flat}", {"layout": "flat"}
    return "the sizes differ: this is not the data of this model, or another array is meant (`x_key`)", {}


def _require_type(
    dtype: np.dtype[Any], name: str, wanted: np.dtype[Any], options: Preprocessing, *, identity: bool
) -> None:
    def refuse(why: str, do: str, **suggestion: object) -> DataError:
        message = f"{name} has the element type {dtype}, the model's input has {wanted}."
        return DataError("data-type", message, [Problem(name, why, do)], suggestion)

    if dtype.kind not in "fiub":
        raise refuse(f"{dtype} is not a real number", "save it as uint8 or float32")
    if wanted.kind == "f":
        if dtype.kind != "f" and options.scale is None:
            do = "say how pixels were scaled in training: `scale=1/255`, or `scale=1`"
            raise refuse("integers need a scale", do, scale=1.0 if dtype.kind == "b" else 1 / 255)
    elif not identity:
        do = "leave `scale`, `mean` and `std` out"
        raise refuse("the model takes integers, which cannot be scaled", do, scale=None, mean=(0.0,), std=(1.0,))
    elif dtype.kind == "f":
        raise refuse(f"{dtype} does not fit into {wanted}", f"save the rows as {wanted}")


def _require_range(rows: NDArray[Any], name: str, wanted: np.dtype[Any]) -> None:
    """Refuse integers that do not fit into another integer type."""
    low, high = int(rows.min(initial=0)), int(rows.max(initial=0))
    held = np.iinfo(wanted) if wanted.kind in "iu" else None
    if held is not None and not held.min <= low <= high <= held.max:
        message = f"{name} has numbers from {low:,} to {high:,}, the model's input has {wanted}."
        problem = Problem(
            name, f"{wanted} holds {held.min:,} to {held.max:,}", "check that the data belong to this model"
        )
        raise DataError("data-type", message, [problem])


def _per_channel(
    values: tuple[float, ...], parameter: str, stored: Shape, name: str, layout: Layout | None
) -> NDArray[np.float64]:
    """Shape the numbers so that they broadcast against rows of the file."""
    array = np.array(values)
    if len(values) == 1:
        return array
    axes = [axis for axis in sorted({0, len(stored) - 1}) if stored and stored[axis] == len(values)]
    if len(axes) == 2 and layout in ("nhwc", "nchw"):
        axes = axes[1:] if layout == "nhwc" else axes[:1]
    if len(axes) != 1:
        why = "fit both the first and the last axis" if axes else "fit neither the first nor the last axis"
        do = 'give one number, or one per channel, and say `layout="nhwc"` or `layout="nchw"` if it is unclear'
        raise DataError(
            "data-shape",
            f"`{parameter}` has {len(values)} numbers, which {why} of the rows {stored} of {name}.",
            [Problem(f"`{parameter}`", why, do)],
        )
    return array.reshape(-1, *(1,) * (len(stored) - 1 - axes[0]))
