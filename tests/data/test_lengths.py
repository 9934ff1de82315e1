"""Lengths that a model leaves open follow from the rows."""

from pathlib import Path

import numpy as np
import pytest

from onnxbound.data.lengths import Dims, row_lengths
from onnxbound.data.preprocessing import Layout
from onnxbound.errors import DataError


@pytest.mark.parametrize(
    ("row", "dims", "layout", "expected"),
    [
        ((3, 6, 10), (3, None, None), None, (3, 6, 10)),
        ((6, 10, 3), (3, None, None), None, (3, 6, 10)),
        ((6, 10, 3), (3, None, None), "nhwc", (3, 6, 10)),
        ((3, 6, 10), (None, None, 3), "nchw", (6, 10, 3)),
        ((28, 20), (1, None, None), None, (1, 28, 20)),
        ((1, 28, 20), (None, None), None, (28, 20)),
        ((128,), (None,), None, (128,)),
    ],
)
def test_the_rows_say_the_lengths(
    row: tuple[int, ...], dims: Dims, layout: Layout | None, expected: tuple[int, ...]
) -> None:
    assert row_lengths({"x": np.zeros((4, *row), np.float32)}, "x", dims, layout) == expected


@pytest.mark.parametrize(
    ("row", "dims", "layout"),
    [
        ((4, 6, 10), (3, None, None), None),
        ((180,), (3, None, None), "flat"),
        ((6, 10, 3), (3, None, None), "nchw"),
        ((2, 6, 10, 3), (3, None, None), None),
    ],
)
def test_rows_that_say_nothing_are_refused(row: tuple[int, ...], dims: Dims, layout: Layout | None) -> None:
    with pytest.raises(DataError, match="the rows do not determine them"):
        row_lengths({"x": np.zeros((4, *row), np.float32)}, "x", dims, layout)


def test_the_name_of_an_input_plays_no_part_where_the_file_decides(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros((4, 3, 6, 10), np.float32), y=np.zeros((4, 3, 8, 8), np.float32))
    assert row_lengths(tmp_path / "rows.npz", "y", (3, None, None)) == (3, 8, 8)
    assert row_lengths(tmp_path / "rows.npz", "", (3, None, None)) == (3, 6, 10)
