"""Weights in a file of their own are not copied: not by onnxruntime, and not by either layout of them."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxbound.graph.load import load
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.linear.programme import Programme, Share
from onnxbound.run import session
from onnxbound.run.device import CPU
from onnxbound.run.forward_norms import ForwardPass
from tests.nets import model_of

WIDTH, LAYERS = 2048, 4


def large_net(folder: Path, op: str) -> Path:
    """A chain of square layers whose weights lie in net.data."""
    random, nodes, constants = np.random.default_rng(0), [], {}
    for i in range(LAYERS):
        constants[f"w{i}"] = random.standard_normal((WIDTH, WIDTH), np.float32) * np.float32((2 / WIDTH) ** 0.5)
        layout = {"transB": 1} if op == "Gemm" else {}
        nodes.append(helper.make_node(op, [f"a{i}" if i else "x", f"w{i}"], [f"z{i}"], **layout))
        nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i + 1}" if i < LAYERS - 1 else "hidden"]))
    constants["head"] = random.standard_normal((WIDTH, 3), np.float32)
    nodes.append(helper.make_node("MatMul", ["hidden", "head"], ["logits"]))
    model = model_of(nodes, constants, ["N", WIDTH])
    onnx.save(model, folder / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=1 << 20)
    return folder / "net.onnx"


def anonymous_bytes() -> int:
    """Memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts anonymous memory apart")
@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
def test_no_second_copy_of_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    network = load(large_net(tmp_path, op))
    rows = np.random.default_rng(1).standard_normal((2, WIDTH), np.float32)
    programme = Programme("affine", 1, False, True, 0.1, False, seed=0)
    usual = ForwardPass(network, CPU, 1, without_bias=False).run(rows).logits
    monkeypatch.setattr(session, "_LARGE", 1 << 20)
    before = anonymous_bytes()
    forward, engine = ForwardPass(network, CPU, 1, without_bias=False), None
    np.testing.assert_allclose(forward.run(rows).logits, usual, rtol=1e-4, atol=1e-4)
    engine = OnnxruntimeEngine(network, programme, CPU, 1, Share(1, network.depth))
    np.testing.assert_allclose(engine.measure(np.arange(2), rows).logits, usual, rtol=1e-4, atol=1e-4)
    assert anonymous_bytes() - before < 0.5 * LAYERS * WIDTH**2 * 4
