"""Preprocessing as a certificate has it: numbers that may come from the rows are in the code, the rest is public."""

from typing import Any

import numpy as np

from onnxbound.data.preprocessing import Preprocessing

_FREE_SCALES = {"1": 1.0, "1/255": 1 / 255}
_CODED = "coded"


def split(preprocessing: Preprocessing, *, integer_input: bool) -> tuple[dict[str, Any], tuple[float, ...]]:
    """What is said of the preprocessing, and the numbers that are written down, 32 bits each.

    A skeleton takes float32 rows; where the model takes integers, they are its rows as they are.
    """
    scale = 1.0 if preprocessing.scale is None and integer_input else preprocessing.scale
    names = {value: name for name, value in _FREE_SCALES.items()}
    said = None if scale is None else names.get(scale, _CODED)
    mean = () if preprocessing.mean == (0.0,) else preprocessing.mean
    std = () if preprocessing.std == (1.0,) else preprocessing.std
    numbers = (*((scale,) if scale is not None and said == _CODED else ()), *mean, *std)
    public = {"layout": preprocessing.layout, "scale": said, "mean": len(mean), "std": len(std)}
    return public, tuple(float(np.float32(number)) for number in numbers)


def joined(public: dict[str, Any], numbers: tuple[float, ...]) -> Preprocessing:
    """The preprocessing again, its numbers those of float32.

    Raises:
        ValueError: They do not belong together.
        UsageError: A number is one that preprocessing cannot have.
    """
    said, means, stds = public.get("scale"), public.get("mean"), public.get("std")
    layout = public.get("layout")
    if type(means) is not int or type(stds) is not int or layout not in (None, "nchw", "nhwc", "flat"):
        raise ValueError("the preprocessing is not one that a certificate can have")
    if said not in (None, _CODED, *_FREE_SCALES) or len(numbers) != (said == _CODED) + means + stds:
        raise ValueError(f"the code has {len(numbers)} numbers, which the preprocessing does not account for")
    rest = list(numbers)
    scale = rest.pop(0) if said == _CODED else _FREE_SCALES.get(said or "")
    return Preprocessing(
        scale=scale,
        mean=tuple(rest[:means]) if means else (0.0,),
        std=tuple(rest[means:]) if stds else (1.0,),
        layout=layout,
    )
