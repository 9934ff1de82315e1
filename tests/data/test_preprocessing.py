"""Numbers as people write them on a command line."""

import pytest

from onnxbound.data.preprocessing import Preprocessing, parse_numbers
from onnxbound.errors import UsageError


def test_decimals_and_fractions() -> None:
    assert parse_numbers("1/255") == (1 / 255,)
    assert parse_numbers("0.49,-1e-3, 3/4") == (0.49, -1e-3, 0.75)


@pytest.mark.parametrize("text", ["", "a", "1/0", "1/2/3", "0.5;0.4", "1,,2"])
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not a list of numbers such as 1/255"):
        parse_numbers(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std": (1.0, 0.0)}, "must not be 0"),
        ({"scale": 0.0}, "must not be 0"),
        ({"mean": (float("nan"),)}, "finite"),
        ({"std": ()}, "finite"),
    ],
)
def test_preprocessing_that_makes_no_sense(options: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Preprocessing(**options)  # type: ignore[arg-type]
