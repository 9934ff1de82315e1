"""Weights of 16 bits, weights that are tied, and files newer than the runtime."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from onnxbound.run.opset import lowered
from tests.graph.two_layers import B1, EXPECTED, ROW, logits, save, two_layers


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
@pytest.mark.parametrize("outside", [False, True])
def test_weights_of_16_bits_are_read_as_the_numbers_they_are(tmp_path: Path, kind: int, *, outside: bool) -> None:
    """The whole file in 16 bits: input, weights, and a Cast in the middle."""
    model = two_layers()
    narrow = helper.tensor_dtype_to_np_dtype(kind)
    exact = {}
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).astype(narrow)
        exact[tensor.name] = values.astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        if outside:
            (tmp_path / tensor.name).write_bytes(tensor.raw_data)
            set_external_data(tensor, tensor.name)
            tensor.ClearField("raw_data")
    model.graph.input[0].type.tensor_type.elem_type = kind
    model.graph.node[1].input[0] = "again"
    model.graph.node.insert(1, helper.make_node("Cast", ["x1"], ["again"], to=kind))
    network = load(save(model, tmp_path / "net.onnx"))
    assert network.input_type == np.float32
    assert network.parameters == 12 + 3 + 6
    expected = np.maximum(ROW @ exact["w1"].T + exact["b1"], 0) @ exact["w2"].T
    np.testing.assert_allclose(logits(network), expected, rtol=1e-6)
    assert any("3 tensors of 16 bits" in note for note in network.notes)
    runtime = Logits(network, resolve_device("cpu"), 1)
    np.testing.assert_allclose(runtime.run(ROW), expected, rtol=1e-6)


def transposed_twice(model: ModelProto) -> None:
    """Both layers read one square initializer, each through a Transpose of its own."""
    del model.graph.initializer[:], model.graph.node[:]
    square = np.float32([[1, 2, 3], [4, 5, 6], [7, 8, 9]]) / 9
    model.graph.initializer.append(numpy_helper.from_array(square, "w"))
    model.graph.node.extend(
        [
            helper.make_node("Transpose", ["w"], ["w1"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "w1"], ["x1"]),
            helper.make_node("Relu", ["x1"], ["a"]),
            helper.make_node("Transpose", ["w"], ["w2"], perm=[1, 0]),
            helper.make_node("MatMul", ["a", "w2"], ["logits"]),
        ]
    )


def written_twice(model: ModelProto) -> None:
    """The second layer reads the transpose, which the exporter wrote as a tensor of its own."""
    transposed_twice(model)
    square = numpy_helper.to_array(model.graph.initializer[0])
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(square.T), "v"))
    del model.graph.node[3]
    model.graph.node[3].input[1] = "v"


@pytest.mark.parametrize("change", [transposed_twice, written_twice])
def test_a_tied_weight_counts_once(tmp_path: Path, change: Callable[[ModelProto], None]) -> None:
    model = two_layers()
    change(model)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    network = load(save(model, tmp_path / "net.onnx"))
    assert network.depth == 2
    assert network.parameters == 9


def test_matrices_as_they_were_initialised_are_not_tied(tmp_path: Path) -> None:
    model = two_layers()
    zeros = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in (("w1", (3, 4)), ("w2", (4, 3)))
    ]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*zeros, numpy_helper.from_array(B1, "b1")])
    assert load(save(model, tmp_path / "net.onnx")).parameters == 12 + 3 + 12


def test_a_newer_opset_than_the_runtime_takes_is_lowered_where_nothing_changed(tmp_path: Path) -> None:
    model = two_layers()
    model.ir_version, model.opset_import[0].version = 999, onnx.defs.onnx_opset_version()
    network = load(save(model, tmp_path / "net.onnx"))
    runtime = Logits(network, resolve_device("cpu"), 1)
    np.testing.assert_allclose(runtime.run(ROW), EXPECTED, rtol=1e-6)
    _, said = lowered(network.model)
    assert "the file says 999" in said


def test_an_operator_that_was_defined_anew_is_not_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    model = two_layers()
    model.opset_import[0].version = 26
    monkeypatch.setattr("onnxbound.run.opset._newest", lambda: (10, 12))
    with pytest.raises(ModelError, match="supports opset 12 at most") as caught:
        lowered(model)
    assert caught.value.code == "model-opset"
    assert [problem.where for problem in caught.value.problems] == ["Gemm", "Relu"]
