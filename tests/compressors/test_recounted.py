"""Every figure that is said of a file, counted again by other means; and the file is read like any other."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from onnxbound.graph.load import load
from tests.cli.command import onnxbound
from tests.oracle.models import FIXTURES, Model, fixtures

BITS = {TensorProto.INT4: 4, TensorProto.INT8: 8, TensorProto.FLOAT16: 16, TensorProto.FLOAT: 32}


def right(path: Path, model: Model, part: str, *, fused: bool) -> NDArray[np.bool_]:
    """Which rows of the fixture's own data onnxruntime gets right."""
    options = onnxruntime.SessionOptions()
    if not fused:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x, y = model.rows(np.arange(600 if part == "train" else 200), part)
    return np.asarray(session.run(None, {"x": x})[0].argmax(axis=1) == y)


@pytest.mark.parametrize(
    "method", ["smallest", "int8", "int8-weights", "int4-weights", "int4-weights --block 9", "fp16"]
)
def test_every_real_format(method: str, tmp_path: Path) -> None:
    """On a net with residual sums: bytes, accuracy on both sets, bits, the checker, a free batch, an analysis."""
    (model,) = [model for model in fixtures() if model.name == "cifar10_resnet"]
    out, data = tmp_path / "out.onnx", FIXTURES / "data" / "cifar10.npz"
    words = ("--data", data, *model.flags)
    found = onnxbound("compress", model.path, "-o", out, *words, "--method", *method.split(), "--test", data, "--json")
    assert found.code in (0, 1), found.stderr
    document = found.json()
    assert found.code == (0 if document["guarantee"]["held"] else 1)
    file, fused = document["file"], method == "int8"
    sizes = [path.stat().st_size for path in (model.path, out)]
    assert [file["bytes_before"], file["bytes_after"]] == sizes
    before, after = (right(path, model, "train", fused=fused) for path in (model.path, out))
    assert document["accuracy"] == {"before": before.mean(), "after": after.mean()}
    before, after = (right(path, model, "test", fused=fused) for path in (model.path, out))
    measured = document["guarantee"]["measured"]
    assert (measured["worse"], measured["better"]) == (np.sum(before & ~after), np.sum(after & ~before))

    written = onnx.load(out)
    tensors = [tensor for tensor in written.graph.initializer if not tensor.name.startswith(("s", "z"))]
    numbers = sum(BITS[tensor.data_type] * int(np.prod(tensor.dims)) for tensor in tensors)
    grids = {tuple(node.input[1:]) for node in written.graph.node if node.op_type == "QuantizeLinear"}
    layers, preprocessing = len(document["layers"]), 6 * 32
    assert document["bits"]["after"] == numbers + 40 * len(grids) + 128 * layers + 64 + preprocessing

    onnx.checker.check_model(written, full_check=True)
    assert load(out).batch is load(model.path).batch is None
    analysed = onnxbound("analyze", out, *words, "--measured", "5", "--limit", "100", "--json")
    assert analysed.code == 0, analysed.stderr
    assert [layer["parameters"] for layer in analysed.json()["layers"]] == [
        layer.parameters for layer in load(out).layers
    ]
