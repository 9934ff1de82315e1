"""Labels are read as the model calls its classes, or counted from where the caller says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxbound.data.open import open_rows
from onnxbound.errors import DataError
from tests.data.conftest import MakeNetwork

PLACES = np.array([2, 0, 3, 3, 1, 0])
X = np.zeros((6, 5), np.float32)
NUMBERS, WORDS, DIGITS = (7, 1, 2, 5), ("cat", "dog", "é", "-"), ("10", "3", "7", "4")


def labels(folder: Path, network: MakeNetwork, names: tuple[Any, ...], y: Any, **options: Any) -> list[int]:
    np.savez(folder / "s.npz", x=X, y=y)
    net = replace(network(5), class_labels=names, classes=len(names))
    return open_rows(folder / "s.npz", net, **options).labels.tolist()


@pytest.mark.parametrize(
    ("names", "y"),
    [
        (NUMBERS, np.array(NUMBERS)[PLACES]),
        (NUMBERS, np.array(NUMBERS, np.uint8)[PLACES, None]),
        (NUMBERS, np.array(NUMBERS).astype(str)[PLACES]),
        (NUMBERS, np.eye(4)[PLACES]),
        (WORDS, np.array(WORDS)[PLACES]),
        (WORDS, np.array([word.encode() for word in WORDS])[PLACES]),
        (WORDS, PLACES),
        (DIGITS, np.array([int(word) for word in DIGITS])[PLACES]),
        (DIGITS, np.array(DIGITS)[PLACES]),
        ((1, 0, 3, 2), np.array([1, 0, 3, 2])[PLACES]),
        ((-3, -1, 0, 4), np.array([-3, -1, 0, 4], np.int8)[PLACES]),
    ],
)
def test_the_models_own_names(tmp_path: Path, network: MakeNetwork, names: tuple[Any, ...], y: Any) -> None:
    assert labels(tmp_path, network, names, y) == PLACES.tolist()


@pytest.mark.parametrize("names", [NUMBERS, WORDS, DIGITS, (0, 1, 2, 3)])
@pytest.mark.parametrize("start", [0, 1, -4])
def test_counted_from_a_number(tmp_path: Path, network: MakeNetwork, names: tuple[Any, ...], start: int) -> None:
    assert labels(tmp_path, network, names, PLACES + start, labels_start=start) == PLACES.tolist()


@pytest.mark.parametrize("names", [(0, 1), ("no", "yes"), (-1, 1)])
def test_minus_one_and_one_are_two_classes(tmp_path: Path, network: MakeNetwork, names: tuple[Any, ...]) -> None:
    y = np.array([1, -1, -1, 1, 1, -1])
    assert labels(tmp_path, network, names, y) == [1, 0, 0, 1, 1, 0]
    assert labels(tmp_path, network, names, -np.ones(6, np.int64)) == [0] * 6


@pytest.mark.parametrize(
    ("names", "y", "why", "do"),
    [
        (NUMBERS, PLACES, "row 1 has the label 0, and 4 rows in all", "classes 7, 1, 2, 5; if the labels count"),
        (WORDS, np.array(["cat", "cow", "dog", "dog", "-", "é"]), "row 1 has the label cow, and 1 rows", "cat, dog"),
        (DIGITS, PLACES, "row 0 has the label 2", "10, 3, 7, 4"),
        ((3, 8), np.array([1, -1] * 3), "row 0 has the label 1", "calls its classes 3, 8"),
        ((0, 1, 2, 3), np.array(list("abcdab")), "row 0 has the label a", "save their numbers"),
        ((0, 1), np.array([1, -1, 0] * 2), "row 1 has the label -1", "run from -1 to 1"),
        (tuple(range(0, 40, 2)), PLACES, "row 2 has the label 3", "16, 18, ...;"),
        (NUMBERS, np.array(NUMBERS, float)[PLACES], "element type is float64", "int64"),
    ],
)  # fmt: skip
def test_names_that_the_model_does_not_have(
    tmp_path: Path, network: MakeNetwork, names: tuple[Any, ...], y: Any, why: str, do: str
) -> None:
    with pytest.raises(DataError) as caught:
        labels(tmp_path, network, names, y)
    assert caught.value.code == "data-labels"
    assert why in caught.value.problems[0].why
    assert do in caught.value.problems[0].do


def test_words_are_not_counted(tmp_path: Path, network: MakeNetwork) -> None:
    with pytest.raises(DataError, match="between 1 and 4"):
        labels(tmp_path, network, WORDS, np.array(WORDS)[PLACES], labels_start=1)


def test_labels_of_64_unsigned_bits_do_not_wrap_around(tmp_path: Path, network: MakeNetwork) -> None:
    y = np.array([1, 0, 2, 3, 1, 2**64 - 4], np.uint64)
    with pytest.raises(DataError, match="between -4 and -1"):
        labels(tmp_path, network, (0, 1, 2, 3), y, labels_start=-4)
    with pytest.raises(DataError, match="between 0 and 3"):
        labels(tmp_path, network, (0, 1, 2, 3), y)
