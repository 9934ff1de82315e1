"""Models that are no plain float32: weights of 16 bits become smaller, and integers stay."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fixtures.quantised import KINDS, quantised
from onnxbound import load
from tests.cli.command import failing, onnxbound
from tests.compressors.test_smallest import rows_of
from tests.nets import random_mlp


def of_16_bits(path: Path, kind: int) -> Path:
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(helper.make_tensor(tensor.name, kind, values.shape, values.ravel().tolist()))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = kind
    (output,) = model.graph.output
    output.CopyFrom(helper.make_tensor_value_info(output.name, kind, ["N", 4]))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("kind", "words", "most"),
    [
        (TensorProto.FLOAT16, ("--method", "int8-weights"), 0.55),
        (TensorProto.FLOAT16, ("--method", "int4-weights"), 0.35),
        (TensorProto.FLOAT16, ("--method", "fp16"), 1.0),
        (TensorProto.FLOAT16, ("--method", "svd", "--keep", "50%", "--factorise"), 1.05),
        (TensorProto.BFLOAT16, ("--method", "svd", "--keep", "50%", "--factorise"), 1.05),
    ],
)
def test_weights_of_16_bits(kind: int, words: tuple[str, ...], most: float, tmp_path: Path) -> None:
    net = of_16_bits(random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4]), kind)
    data, out = rows_of(net, 200, 0.1), tmp_path / "out.onnx"
    found = onnxbound("compress", net, "-o", out, "--data", data, *words)
    assert found.code == 0, found.stderr
    assert out.stat().st_size < most * net.stat().st_size
    written = onnx.load(out)
    onnx.checker.check_model(written, full_check=True)
    for value in (*written.graph.input, *written.graph.output):
        assert value.type.tensor_type.elem_type == kind
    assert load(out).depth == (6 if "svd" in words else 3)


def test_activations_of_16_bits_are_not_rounded(tmp_path: Path) -> None:
    net = of_16_bits(random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4]), TensorProto.FLOAT16)
    words = ("compress", net, "-o", tmp_path / "out.onnx", "--data", rows_of(net, 200, 0.1), "--method", "int8")
    error = failing(*words)
    assert error["code"] == "compress-method"
    assert "int8 takes nets of float32" in error["message"]


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3]], ids=lambda kind: kind.name)
@pytest.mark.parametrize("words", [(), ("--method", "svd", "--keep", "50%")])
def test_integers_stay(kind, words: tuple[str, ...], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    net = quantised(kind, tmp_path)
    network, random = load(net), np.random.default_rng(0)
    x = random.random((100, *network.input_shape)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=random.integers(0, network.classes, 100))
    error = failing("compress", net, "-o", tmp_path / "out.onnx", "--data", tmp_path / "rows.npz", *words)
    assert error["code"] == "compress-nothing"
    assert len(error["problems"]) == network.depth
    assert "integers stay" in error["problems"][0]["why"]
