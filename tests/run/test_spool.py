"""Numbers per row on disk."""

import numpy as np
import pytest

from onnxbound.errors import OutputError
from onnxbound.run.spool import Spool


def test_columns_come_back_in_the_order_of_the_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(10_000, 3))
    with Spool(10_000, 3) as spool:
        for start in reversed(range(0, 10_000, 777)):
            spool.write(start, rows[start : start + 777])
        for column in range(3):
            np.testing.assert_array_equal(spool.column(column), rows[:, column])


def test_writing_goes_on_after_reading() -> None:
    with Spool(2, 1) as spool:
        spool.write(1, np.array([[2.0]]))
        assert spool.column(0)[1] == 2.0
        spool.write(0, np.array([[1.0]]))
        assert spool.column(0).tolist() == [1.0, 2.0]


def test_full_disk_is_an_output_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, place: int) -> None:
            pass

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with Spool(1, 1) as spool, pytest.raises(OutputError, match="No space left on device") as caught:
        spool.write(0, np.array([[1.0]]))
    assert caught.value.code == "output-unwritable"
    assert "TMPDIR" in caught.value.problems[0].do
