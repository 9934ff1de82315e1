"""Batches and shares of probes that stay within a memory."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from onnxbound.errors import UsageError
from onnxbound.graph.load import load
from onnxbound.linear.programme import Programme
from onnxbound.stability import batches
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


def test_a_device_with_a_memory_of_its_own_takes_more_rows(tmp_path: Path) -> None:
    network = net(tmp_path / "net.onnx", "convolutional")
    here, there, small = (batches_within(310 * MIB, network, PROGRAMME, of) for of in (None, 80 << 30, 1250 * MIB))
    assert there == batches_within(20 << 30, network, PROGRAMME)
    assert here.probes < there.probes
    assert small == batches_within(1250 * MIB // 4, network, PROGRAMME)


PASS = """
import sys
import numpy as np
from onnxbound.graph.load import load
from onnxbound.run.device import CPU
from onnxbound.run.environment import peak_rss_bytes
from onnxbound.run.forward_norms import ForwardPass

network = load(sys.argv[1])
forward, before = ForwardPass(network, CPU, 1, without_bias=False), peak_rss_bytes()
forward.run(np.zeros((2, *network.input_shape), np.float32))
print((peak_rss_bytes() - before) / 2**20)
"""


@pytest.mark.parametrize(("name", "batch"), [("mnist_mlp", 30_000), ("cifar10_cnn", 1500)])
def test_a_fixed_batch_takes_about_what_is_said(tmp_path: Path, name: str, batch: int) -> None:
    model = onnx.load(f"fixtures/{name}.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, tmp_path / "net.onnx")
    network = load(tmp_path / "net.onnx")
    with pytest.raises(UsageError) as caught:
        batches_within(400 * MIB, network, replace(PROGRAMME, probes=1))
    (said,) = re.findall(rf"the fixed batch of {batch:,} rows takes about (\d+) MiB", caught.value.problems[0].why)
    words = [sys.executable, "-c", PASS, str(tmp_path / "net.onnx")]
    taken = float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    room = float(said) - (batches._BASE + batches._BYTES_PER_PARAMETER * network.parameters) / MIB
    assert 0.6 * room < taken < room + 1
