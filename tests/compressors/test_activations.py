"""Activations of 8 bits: where they are rounded, and that the file computes what it says."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from onnxbound.compressors.evaluate import require_agreement
from onnxbound.compressors.rounder import ACTIVATIONS
from onnxbound.graph.load import load
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from tests.cli.command import onnxbound
from tests.compressors.test_smallest import at_noise, in_file, rows_of
from tests.nets import random_mlp
from tests.oracle.models import fixtures, public_models

CPU = resolve_device("cpu")


@pytest.mark.parametrize("model", fixtures() + public_models(), ids=lambda model: model.name)
def test_every_net(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A valid file that onnxruntime and NumPy compute alike, integers in between, near the original."""
    network = load(model.path)
    rounder, noise = at_noise(network)
    compressed = rounder.with_activations(dict.fromkeys(rounder.sites, ACTIVATIONS))
    written, again = in_file(compressed, tmp_path / "small.onnx")
    runner = Logits(again.network, CPU, 1)
    require_agreement(compressed, again.network, runner, noise)
    before, after = Logits(network, CPU, 1).run(noise), runner.run(noise)
    assert np.linalg.norm(after - before) < 0.2 * np.linalg.norm(before)
    kinds = [node.op_type for node in written.graph.node]
    assert kinds.count("QuantizeLinear") == len(compressed.roundings) > 0
    levels = [onnx.numpy_helper.to_array(t) for t in written.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert max(int(np.abs(each.astype(np.int64)).max()) for each in levels) < 1 << ACTIVATIONS - 1


def logits(path: Path, x: NDArray[np.float32], *, fused: bool) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    if not fused:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def test_what_is_said_is_what_onnxruntime_does_by_default(tmp_path: Path) -> None:
    """Rows and bytes are counted again, in a session without any option."""
    net = random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4])
    data, test, out = rows_of(net, 500, 0.2), rows_of(net, 3000, 0.2, seed=1), tmp_path / "out.onnx"
    found = onnxbound("compress", net, "-o", out, "--data", data, "--test", test, "--method", "int8", "--json")
    assert found.code in (0, 1), found.stderr
    document = found.json()
    with np.load(test) as arrays:
        x, y = arrays["x"], arrays["y"]
    before, after = (logits(path, x, fused=True).argmax(axis=1) == y for path in (net, out))
    measured = document["guarantee"]["measured"]
    assert (measured["worse"], measured["better"]) == (np.sum(before & ~after), np.sum(after & ~before))
    assert document["file"]["bytes_after"] == out.stat().st_size < net.stat().st_size
    as_written, by_default = (logits(out, x, fused=fused) for fused in (False, True))
    assert np.abs(as_written - by_default).max() < 0.05 * np.abs(by_default).max()
    grids = {tuple(node.input[1:]) for node in onnx.load(out).graph.node if node.op_type == "QuantizeLinear"}
    stored = [layer for layer in document["layers"] if layer["method"] != "kept"]
    integers = sum(8 * len(t.raw_data) for t in onnx.load(out).graph.initializer if t.name.startswith(("q", "h")))
    biases = sum(32 * size for size in (60, 40, 4))
    assert sum(layer["bits_after"] for layer in stored) == integers + biases + 128 * len(stored)
    assert document["bits"]["after"] == sum(layer["bits_after"] for layer in stored) + 40 * len(grids) + 64
