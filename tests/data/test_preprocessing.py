"""Numbers as people write them on a command line."""

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any

import numpy as np
import pytest

from onnxbound.data.preprocessing import Preprocessing, parse_numbers
from onnxbound.errors import UsageError


def test_decimals_and_fractions() -> None:
    assert parse_numbers("scale", "1/255") == (1 / 255,)
    assert parse_numbers("mean", "0.49,-1e-3, 3/4") == (0.49, -1e-3, 0.75)
    assert Preprocessing("1/255", "0.5,1/4") == Preprocessing(1 / 255, (0.5, 0.25))


@pytest.mark.parametrize("text", ["", "a", "1/0", "1/2/3", "0.5;0.4", "1,,2"])
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="`mean` takes numbers such as 1/255"):
        Preprocessing(mean=text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std": (1.0, 0.0)}, "`std` must not contain 0"),
        ({"scale": 0.0}, "`scale` must be one number other than 0, not 0.0"),
        ({"scale": [1.0, 2.0]}, "`scale` must be one number"),
        ({"scale": "1/0"}, "`scale` takes numbers such as 1/255"),
        ({"scale": "1,2"}, "`scale` must be one number other than 0, not '1,2'"),
        ({"scale": float("inf")}, "`scale` takes finite numbers"),
        ({"mean": (float("nan"),)}, "`mean` takes finite numbers"),
        ({"mean": None}, "`mean` takes finite numbers, not None"),
        ({"mean": [[0.1], [0.2, 0.3]]}, "`mean` takes finite numbers"),
        ({"std": ()}, "`std` takes finite numbers"),
        ({"layout": "nhcw"}, '`layout` must be "nchw", "nhwc" or "flat", not \'nhcw\''),
    ],
)
def test_preprocessing_that_makes_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        Preprocessing(**options)


@pytest.mark.parametrize("kind", [tuple, list, np.array, lambda values: np.array(values).reshape(3, 1, 1)])
def test_numbers_in_any_form_are_kept_as_a_tuple(kind: Callable[[Any], Any]) -> None:
    found = Preprocessing(1 / 255, kind((0.5, 0.25, 0.125)), kind((1, 2, 3)))
    assert found == Preprocessing(scale=1 / 255, mean=(0.5, 0.25, 0.125), std=(1.0, 2.0, 3.0))
    assert {type(value) for value in (found.scale, *found.mean, *found.std)} == {float}


def test_one_number_is_that_of_every_channel() -> None:
    found = Preprocessing(scale=np.float32(0.5), mean=0.1307, std=0.3081)
    assert (found.scale, found.mean, found.std) == (0.5, (0.1307,), (0.3081,))
    assert asdict(replace(found, layout="flat")) == asdict(found) | {"layout": "flat"}
    with pytest.raises(FrozenInstanceError):
        found.scale = 1.0  # type: ignore[misc]
