"""What a process says of itself."""

import subprocess
import sys

import numpy as np
import pytest

from onnxbound.run.environment import peak_rss_bytes

MIB = 1 << 20


def child(before: str = "") -> int:
    """The peak of a process that this one starts, in bytes."""
    asked = f"{before}\nfrom onnxbound.run.environment import peak_rss_bytes\nprint(peak_rss_bytes())"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system's own figure is taken")
def test_peak_memory_is_not_that_of_whoever_started_the_process() -> None:
    held = np.ones(400 * MIB // 8)
    assert (peak_rss_bytes() or 0) > held.nbytes
    assert child() < 200 * MIB


def test_peak_memory_counts_what_was_given_back() -> None:
    assert child("b'1' * (400 << 20)") > 400 * MIB
