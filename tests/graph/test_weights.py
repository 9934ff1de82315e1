"""Where weights may stand in a file: initializers, Constant nodes, functions, external data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from onnxbound.run.opset import lowered
from tests.nets import model_of

W1 = np.arange(12, dtype=np.float32).reshape(3, 4) / 10 - 0.5
B1 = np.float32([0.1, -0.2, 0.3])
W2 = np.float32([[1, -2, 0.5], [-1, 0.25, 2]])
ROW = np.float32([[1.0, -2.0, 0.5, 3.0]])

NODES = [
    helper.make_node("Gemm", ["x", "w1", "b1"], ["x1"], transB=1, name="first"),
    helper.make_node("Relu", ["x1"], ["a"]),
    helper.make_node("Gemm", ["a", "w2"], ["logits"], transB=1, name="second"),
]


def two_layers() -> ModelProto:
    """logits = W2 relu(W1 x + b1), all weights initializers."""
    return model_of(NODES, {"w1": W1, "b1": B1, "w2": W2}, ["N", 4])


def save(model: ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def logits(network: Network) -> NDArray[np.float32]:
    values = linearise(network.cast(np.float32), ROW, {network.output}).values
    result: NDArray[np.float32] = values[network.output]
    return result


EXPECTED = np.maximum(ROW @ W1.T + B1, 0) @ W2.T


def require_same(path: Path) -> Network:
    network = load(path)
    np.testing.assert_allclose(logits(network), EXPECTED, rtol=1e-6)
    assert network.parameters == 12 + 3 + 6
    return network


def without_initializer(model: ModelProto, name: str) -> TensorProto:
    """Take an initializer out of the model."""
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    copy = TensorProto()
    copy.CopyFrom(tensor)
    model.graph.initializer.remove(tensor)
    return copy


def constant_value(model: ModelProto) -> None:
    tensor = without_initializer(model, "w1")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w1"], value=tensor))


def constant_floats(model: ModelProto) -> None:
    without_initializer(model, "b1")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["b1"], value_floats=B1.tolist()))


def constant_behind_identity(model: ModelProto) -> None:
    tensor = without_initializer(model, "w2")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    model.graph.node.insert(1, helper.make_node("Identity", ["w"], ["w2"]))


def transposed_in_the_graph(model: ModelProto) -> None:
    without_initializer(model, "w1")
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(W1.T), "v1"))
    model.graph.node.insert(0, helper.make_node("Transpose", ["v1"], ["w1"], perm=[1, 0]))


def half_precision_cast_up(model: ModelProto) -> None:
    without_initializer(model, "w2")
    model.graph.initializer.append(numpy_helper.from_array(W2.astype(np.float16), "h2"))
    model.graph.node.insert(0, helper.make_node("Cast", ["h2"], ["w2"], to=TensorProto.FLOAT))


def listed_as_inputs(model: ModelProto) -> None:
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))


def unused_initializer(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((50, 50), np.float32), "unused"))


def sparse(model: ModelProto) -> None:
    without_initializer(model, "w2")
    places = np.argwhere(W2)
    values = numpy_helper.from_array(W2[tuple(places.T)], "w2")
    indices = numpy_helper.from_array(places.astype(np.int64), "w2_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, list(W2.shape)))


def unsorted(model: ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def local_functions(model: ModelProto) -> None:
    """The first two nodes as a call of a function that calls another."""
    del model.graph.node[:2]
    model.graph.node.insert(0, helper.make_node("Hidden", ["x", "w1", "b1"], ["a"], domain="local", name="call"))
    default, local = helper.make_opsetid("", 17), helper.make_opsetid("local", 1)
    gate = helper.make_function("local", "Gate", ["z"], ["y"], [helper.make_node("Relu", ["z"], ["y"])], [default])
    body = [
        helper.make_node("Gemm", ["x", "w", "b"], ["z"], transB=1),
        helper.make_node("Gate", ["z"], ["y"], domain="local"),
    ]
    model.functions.append(helper.make_function("local", "Hidden", ["x", "w", "b"], ["y"], body, [default, local]))
    model.functions.append(gate)
    model.opset_import.append(local)


@pytest.mark.parametrize(
    "change",
    [
        constant_value, constant_floats, constant_behind_identity, transposed_in_the_graph, half_precision_cast_up,
        listed_as_inputs, unused_initializer, sparse, unsorted, local_functions,
    ],
)  # fmt: skip
def test_weights_are_found(tmp_path: Path, change: Callable[[ModelProto], None]) -> None:
    model = two_layers()
    change(model)
    network = require_same(save(model, tmp_path / "net.onnx"))
    assert [layer.operator.effective_weight().shape for layer in network.layers] == [(3, 4), (2, 3)]


def test_a_shared_weight_counts_once(tmp_path: Path) -> None:
    w = np.eye(4, dtype=np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["x1"]),
        helper.make_node("Relu", ["x1"], ["a"]),
        helper.make_node("MatMul", ["a", "w"], ["logits"]),
    ]
    network = load(save(model_of(nodes, {"w": w}, ["N", 4]), tmp_path / "net.onnx"))
    assert network.depth == 2
    assert network.parameters == 16
    assert [layer.weight_name for layer in network.layers] == ["w", "w"]


@pytest.mark.parametrize(("batch", "expected"), [("N", None), (None, None), (1, 1), (64, 64)])
def test_batch(tmp_path: Path, batch: str | int | None, expected: int | None) -> None:
    model = two_layers()
    dimension = model.graph.input[0].type.tensor_type.shape.dim[0]
    dimension.Clear()
    if isinstance(batch, int):
        dimension.dim_value = batch
    elif batch:
        dimension.dim_param = batch
    assert require_same(save(model, tmp_path / "net.onnx")).batch == expected


def test_names_may_be_anything(tmp_path: Path) -> None:
    model = two_layers()
    odd = {"x": "Input:0/\u00e9t\u00e9 \u732b", "logits": "out put\n[2]", "x1": "1"}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [odd.get(name, name) for name in names]
    model.graph.input[0].name, model.graph.output[0].name = odd["x"], odd["logits"]
    network = require_same(save(model, tmp_path / "net.onnx"))
    assert (network.input, network.output) == (odd["x"], odd["logits"])


def external(folder: Path, location: str = "net.data", **entries: int) -> Path:
    """The net with w1 outside, written to folder/net.onnx; the data file is not written."""
    model = two_layers()
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == "w1")
    set_external_data(tensor, location, **entries)
    tensor.ClearField("raw_data")
    return save(model, folder / "net.onnx")


def test_external_data_is_mapped_not_read(tmp_path: Path) -> None:
    path = external(tmp_path, offset=8, length=W1.nbytes)
    (tmp_path / "net.data").write_bytes(bytes(8) + W1.tobytes() + b"behind")
    network = require_same(path)
    assert isinstance(network.layers[0].operator.weight, np.memmap)


def test_external_data_in_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w1").write_bytes(W1.tobytes())
    require_same(external(tmp_path, "weights/w1"))


def _missing(tmp_path: Path) -> Path:
    return external(tmp_path)


def _too_short(tmp_path: Path) -> Path:
    (tmp_path / "net.data").write_bytes(W1.tobytes()[:-1])
    return external(tmp_path)


def _negative_offset(tmp_path: Path) -> Path:
    (tmp_path / "net.data").write_bytes(W1.tobytes())
    return external(tmp_path, offset=-48)


def _outside(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(W1.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    return external(folder, "../secret")


def _absolute(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(W1.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    return external(folder, str(tmp_path / "secret"))


def _through_a_link(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(W1.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.data").symlink_to(tmp_path / "secret")
    return external(folder)


def _a_folder(tmp_path: Path) -> Path:
    (tmp_path / "net.data").mkdir()
    return external(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_missing, "'net.data', which is missing"),
        (_too_short, "'net.data' is too short"),
        (_negative_offset, "'net.data' is too short"),
        (_outside, "'../secret', outside its own folder"),
        (_absolute, "outside its own folder"),
        (_through_a_link, "'net.data', outside its own folder"),
        (_a_folder, "'net.data', which is missing"),
    ],
)
def test_external_data_that_cannot_be_used(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load(make(tmp_path))
    assert caught.value.code == "model-external-data"
    assert caught.value.exit_code == 3
    assert [problem.where for problem in caught.value.problems] == ["initializer 'w1'"]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_weights_that_are_not_finite(tmp_path: Path, broken: float) -> None:
    weight = W2.copy()
    weight[0, 1] = broken
    model = model_of(NODES, {"w1": W1, "b1": B1, "w2": weight}, ["N", 4])
    with pytest.raises(ModelError) as caught:
        load(save(model, tmp_path / "net.onnx")).require_finite_weights()
    assert caught.value.code == "model-weights-not-finite"
    assert [problem.why for problem in caught.value.problems] == ["1 weights are NaN or infinite"]
    assert "second" in caught.value.problems[0].where


def test_the_file_format_of_2018(tmp_path: Path) -> None:
    model = two_layers()
    listed_as_inputs(model)
    model.ir_version = 3
    model.opset_import[0].version = 8
    network = require_same(save(model, tmp_path / "net.onnx"))
    assert (network.ir_version, network.opset) == (3, 8)


def test_newest_opset_of_the_onnx_package(tmp_path: Path) -> None:
    model = two_layers()
    model.opset_import[0].version = onnx.defs.onnx_opset_version()
    require_same(save(model, tmp_path / "net.onnx"))


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
    with pytest.raises(ModelError, match="takes opset 12 at most") as caught:
        lowered(model)
    assert caught.value.code == "model-opset"
    assert [problem.where for problem in caught.value.problems] == ["Gemm", "Relu"]
