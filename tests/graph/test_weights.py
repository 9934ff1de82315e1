"""Where weights may stand in a file: initializers, Constant nodes, functions, external data."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from onnxbound.errors import ModelError
from onnxbound.graph import model_file
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.graph.two_layers import B1, EXPECTED, W1, W2, logits, save, two_layers
from tests.nets import model_of


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


@pytest.mark.parametrize(("domain", "version"), [("local", 7), ("", 13), ("ai.onnx", 18)])
def test_functions_that_import_other_versions_are_read_by_the_models(tmp_path: Path, domain: str, version: int) -> None:
    """As jax2onnx writes its own domain; onnxruntime reads them so, and the inliner leaves them out without a word."""
    model = two_layers()
    local_functions(model)
    for function in model.functions:
        kept = [entry for entry in function.opset_import if entry.domain != (domain if domain == "local" else "")]
        del function.opset_import[:]
        function.opset_import.extend([*kept, helper.make_opsetid(domain, version)])
    network = require_same(save(model, tmp_path / "net.onnx"))
    assert network.depth == 2
    (note,) = [note for note in network.notes if note.startswith("inlined 2 local functions")]
    assert f"Hidden imports {domain or 'ai.onnx'} {version} and is read by" in note


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


@pytest.mark.parametrize("copied", [0, 1 << 20])
def test_a_large_file_of_weights_is_mapped_and_a_small_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: int
) -> None:
    monkeypatch.setattr(model_file, "_COPIED", copied)
    path = external(tmp_path, offset=8, length=W1.nbytes)
    content = bytes(8) + W1.tobytes() + b"behind"
    (tmp_path / "net.data").write_bytes(content)
    network = require_same(path)
    assert isinstance(network.layers[0].operator.weight, np.memmap) == (copied == 0)
    lines = [hashlib.sha256(data).hexdigest() + "\n" for data in (path.read_bytes(), content)]
    assert network.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_small_file_may_shrink_and_change_once_it_is_read(tmp_path: Path) -> None:
    """A map of it would end the process by SIGBUS."""
    path = external(tmp_path)
    (tmp_path / "net.data").write_bytes(W1.tobytes())
    network = load(path)
    os.truncate(tmp_path / "net.data", 0)
    np.testing.assert_allclose(logits(network), EXPECTED, rtol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_hash_of_a_model_covers_its_weights_wherever_they_lie(tmp_path: Path, sparse: bool) -> None:
    inside = save(two_layers(), tmp_path / "inside.onnx")
    assert load(inside).sha256 == hashlib.sha256(inside.read_bytes()).hexdigest()
    path, data = external(tmp_path), tmp_path / "net.data"
    if sparse:
        model = onnx.load(path, load_external_data=False)
        tensor = without_initializer(model, "w1")
        tensor.dims[:] = [W1.size]
        places = numpy_helper.from_array(np.arange(W1.size), "places")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, places, list(W1.shape)))
        path = save(model, path)
    data.write_bytes(W1.tobytes())
    before = load(path)
    data.write_bytes((W1 * np.float32(1.001)).tobytes())
    after = load(path)
    assert before.layers[0].operator.weight.sum() != after.layers[0].operator.weight.sum()
    assert before.sha256 != after.sha256


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
