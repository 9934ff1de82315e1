"""Central differences through onnxruntime, from any tensor of the net, against the masks."""

from pathlib import Path

import numpy as np
import pytest

from onnxbound.linear.finite_differences import FiniteDifferences
from onnxbound.linear.linearisation import linearise
from onnxbound.run.device import CPU
from tests.linear.test_measure import net


@pytest.mark.parametrize("kind", ["chain", "residual", "parallel", "convolutional"])
def test_differences_are_the_jacobian_where_nothing_flips(tmp_path: Path, kind: str) -> None:
    network = net(tmp_path / "net.onnx", kind)
    random = np.random.default_rng(4)
    rows = random.normal(size=(20, *network.input_shape)).astype(np.float32)
    sources = [network.input, *(layer.output for layer in network.layers[:-1])]
    forward = linearise(network.cast(np.float32), rows, sources)
    for source in sources:
        tangents = random.normal(size=forward.values[source].shape).astype(np.float32)
        targets = [network.output] + [layer.output for layer in network.layers if layer.output != source]
        expected = forward.linearisation.jvp(source, tangents[None], targets)
        found = FiniteDifferences(network, source, sorted(expected), CPU)(rows, forward.values[source], tangents, 2**-9)
        smooth = ~found.kinks
        assert smooth.sum() >= 10
        for name, tangent in expected.items():
            np.testing.assert_allclose(
                found.values[name][smooth], tangent[0][smooth], rtol=0, atol=1e-3 * np.abs(tangent).max(), err_msg=name
            )


def test_a_flipped_gate_is_a_kink(tmp_path: Path) -> None:
    network = net(tmp_path / "net.onnx", "chain")
    rows = np.random.default_rng(4).normal(size=(10, *network.input_shape)).astype(np.float32)
    tangents = np.random.default_rng(5).normal(size=rows.shape).astype(np.float32)
    found = FiniteDifferences(network, network.input, [network.output], CPU)(rows, rows, tangents, 3.0)
    assert found.kinks.all()
