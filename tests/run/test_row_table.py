"""Numbers per row on disk."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from onnxbound.errors import OutputError
from onnxbound.run.row_table import Table


def test_columns_come_back_in_the_order_of_the_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(10_000, 3))
    table = Table(10_000, [("a",), ("b", 1), ("b", 2)])
    for start in reversed(range(0, 10_000, 777)):
        table.write(start, rows[start : start + 777])
    np.testing.assert_array_equal(table.column("a"), rows[:, 0])
    np.testing.assert_array_equal(table.column("b", 2), rows[:, 2])
    np.testing.assert_array_equal(table.column("b", 1, start=5, stop=9_000), rows[5:9_000, 1])
    assert ("b", 1) in table
    assert ("b", 3) not in table


def test_writing_goes_on_after_reading() -> None:
    table = Table(2, [("a",)])
    table.write(1, np.array([[2.0]]))
    assert table.column("a").tolist() == [0.0, 2.0]
    table.write(0, np.array([[1.0]]))
    assert table.column("a").tolist() == [1.0, 2.0]


def test_rows_that_never_came_are_zero() -> None:
    table = Table(3, [("a",), ("b",)])
    table.write(0, np.array([[1.0, 2.0]]))
    assert table.column("b").tolist() == [2.0, 0.0, 0.0]


def nameless_files() -> int:
    """Open files of this process that no folder lists."""
    return sum(os.fstat(int(place.name)).st_nlink == 0 for place in Path("/proc/self/fd").iterdir() if place.exists())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc/self/fd to see open files")
def test_the_file_goes_with_the_table() -> None:
    gc.collect()
    before = nameless_files()
    tables = [Table(1, [("a",)]) for _ in range(5)]
    assert nameless_files() == before + 5
    del tables
    gc.collect()
    assert nameless_files() == before


def test_full_disk_is_an_output_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, place: int) -> None:
            pass

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(OutputError, match="No space left on device") as caught:
        Table(1, [("a",)]).write(0, np.array([[1.0]]))
    assert caught.value.code == "output-unwritable"
    assert "TMPDIR" in caught.value.problems[0].do


def test_a_disk_that_takes_some_of_it_takes_the_rest_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(5, [("a",)])
    file = table._file

    class Short:
        seek = file.seek

        def write(self, data: memoryview) -> int:
            return file.write(data[:7])

    monkeypatch.setattr(table, "_file", Short())
    table.write(0, np.arange(5.0)[:, None])
    monkeypatch.setattr(table, "_file", file)
    np.testing.assert_array_equal(table.column("a"), np.arange(5.0))
