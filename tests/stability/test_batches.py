"""Batches and shares of probes that stay within a memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from onnxbound.errors import UsageError
from onnxbound.linear.programme import Programme
from onnxbound.stability.batches import batches_within
from tests.linear.test_measure import net

PROGRAMME = Programme("affine", 4096, False, True, 0.1, False, seed=0)
MIB = 1 << 20


def test_less_memory_takes_fewer_rows_and_then_fewer_probes(tmp_path: Path) -> None:
    network = net(tmp_path / "net.onnx", "convolutional")
    found = [batches_within(memory * MIB, network, PROGRAMME) for memory in (4096, 330, 310, 302)]
    assert found[0].probes == 4096
    assert found[0].sweep > 1
    assert [b.probes for b in found] == sorted((b.probes for b in found), reverse=True)
    assert found[-1].probes < 4096
    assert all(4096 % b.probes == 0 for b in found)


def test_too_little_memory_says_how_much_it_takes(tmp_path: Path) -> None:
    network = net(tmp_path / "net.onnx", "convolutional")
    with pytest.raises(UsageError) as caught:
        batches_within(100 * MIB, network, replace(PROGRAMME, probes=1))
    assert "one row takes about" in caught.value.problems[0].why
