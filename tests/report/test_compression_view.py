"""Sentences and cells about a compressed net that depend on more than one number."""

from types import SimpleNamespace
from typing import Any

import pytest

from onnxbound.compressors.compression import Compressibility, Held
from onnxbound.report import of_compression


def test_only_the_errors_of_g_are_called_so() -> None:
    """Where all three forms hold with the same count as well."""
    held = Held(True, 0)
    report: Any = SimpleNamespace(compressibility=Compressibility(held, held, held))
    assert [row[2] for row in of_compression._compressibility(report).rows] == ["0 rows", "0 rows", "g errs on 0 rows"]


@pytest.mark.parametrize(("low", "high"), [(0.67, 1.87), (1.1, 1.3)])
def test_limits_of_times_say_of_what_and_how_sure(low: float, high: float) -> None:
    work: Any = SimpleNamespace(
        ratio=1.2, ratio_low=low, ratio_high=high, multiply_adds=SimpleNamespace(before=2, after=1)
    )
    said = of_compression._time(work)
    assert ("no difference measurable" in said) is (low <= 1)
    assert f"{low:.2f} to {high:.2f}" in said
    assert "times the original's" in said
    assert "with 96 % confidence" in said
