"""Model files that ask for more than they bring, or for what is not theirs, are refused before anything is spent."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
import onnx
import pytest
from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.run.device import CPU
from onnxbound.run.forward_norms import ForwardPass
from tests.nets import model_of

W = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
MEMORY, SECONDS = 64 << 20, 20


def plain(*before: NodeProto, x: str = "x") -> ModelProto:
    """logits = x' W, x' computed by the nodes before."""
    return model_of([*before, helper.make_node("MatMul", [x, "w"], ["logits"], name="last")], {"w": W}, ["N", 4])


def huge_weight(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1 << 40, 3]


def negative_weight(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [-4, 3]


def overflowing_weight(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1 << 62, 1 << 62]


def unknown_type(model: ModelProto) -> None:
    model.graph.initializer[0].data_type = 4711


def huge_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 40


def huge_sparse(model: ModelProto) -> None:
    values = numpy_helper.from_array(np.float32([1]), "s")
    places = numpy_helper.from_array(np.int64([0]), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1 << 20, 1 << 20]))


def sparse_outside(model: ModelProto) -> None:
    values = numpy_helper.from_array(np.float32([1]), "s")
    places = numpy_helper.from_array(np.int64([-1]), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4, 3]))


def two_weights(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(W, "w"))


def two_inputs(model: ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def two_opsets(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("", 11))


def custom_operator(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Run", ["x"], ["side"], domain="evil.so", name="side"))


def custom_operator_in_a_branch(model: ModelProto) -> None:
    value = onnx.ValueInfoProto(name="side")
    inner = helper.make_graph([helper.make_node("Run", ["x"], ["side"], domain="evil.so")], "inner", [], [value])
    node = helper.make_node("If", ["c"], ["unused"], then_branch=inner, else_branch=inner)
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    model.graph.node.append(node)


def huge_tensor_in_a_branch(model: ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["side"], value=TensorProto(dims=[1 << 40], data_type=1, name="t"))
    inner = helper.make_graph([constant], "inner", [], [onnx.ValueInfoProto(name="side")])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    model.graph.node.append(helper.make_node("If", ["c"], ["unused"], then_branch=inner, else_branch=inner))


def function(name: str, *calls: str) -> FunctionProto:
    """A function that passes its input through the functions of the given names."""
    tensors = ["a", *(f"t{k}" for k in range(len(calls) - 1)), "b"]
    nodes = [helper.make_node(f, [tensors[k]], [tensors[k + 1]], domain="own") for k, f in enumerate(calls)]
    nodes = nodes or [helper.make_node("Relu", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], ["b"], nodes, opsets)


def with_functions(*functions: FunctionProto) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.functions.extend(functions)
        model.opset_import.append(helper.make_opsetid("own", 1))
        model.graph.node[0].input[0] = "y"
        model.graph.node.insert(0, helper.make_node("f0", ["x"], ["y"], domain="own"))

    return change


BOMB = [function(f"f{k}", *[f"f{k + 1}"] * 10) for k in range(9)]
CHAIN = [function(f"f{k}", f"f{k + 1}") for k in range(5000)]


def growing(*nodes: NodeProto) -> Callable[[ModelProto], None]:
    """The output of these nodes, "y", is what the weight is applied to."""

    def change(model: ModelProto) -> None:
        model.graph.node[0].input[0] = "y"
        for place, node in enumerate(nodes):
            model.graph.node.insert(place, node)

    return change


def constants_without_end(model: ModelProto) -> None:
    """Each is as large as any may be, and there are a hundred."""
    model.graph.initializer.append(numpy_helper.from_array(np.int64([1 << 13, 1 << 12]), "shape"))
    for k in range(100):
        model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], [f"big{k}"]))


PADS = helper.make_node("Pad", ["x"], ["y"], pads=[0, 1 << 40, 0, 0])
POOL = [
    helper.make_node("Unsqueeze", ["x"], ["u"], axes=[1]),
    helper.make_node("AveragePool", ["u"], ["p"], kernel_shape=[1 << 30], pads=[1 << 30, 1 << 30], strides=[1 << 29]),
    helper.make_node("Flatten", ["p"], ["y"]),
]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (huge_weight, "model-invalid", "13,194,139,533,312"),
        (negative_weight, "model-invalid", "the shape (-4, 3)"),
        (overflowing_weight, "model-invalid", "needs"),
        (unknown_type, "model-invalid", "4711"),
        (huge_input, "model-too-large", "input 'x'"),
        (huge_sparse, "model-too-large", "1,099,511,627,776"),
        (sparse_outside, "model-invalid", "outside the shape (4, 3)"),
        (two_weights, "model-graph-invalid", "initializer 'w'"),
        (two_inputs, "model-graph-invalid", "input 'x'"),
        (two_opsets, "model-graph-invalid", "both versions 11 and 17 are imported"),
        (custom_operator, "model-custom-operator", "evil.so"),
        (custom_operator_in_a_branch, "model-custom-operator", "evil.so"),
        (huge_tensor_in_a_branch, "model-invalid", "1,099,511,627,776"),
        (with_functions(function("f0", "f1"), function("f1", "f0")), "model-graph-invalid", "calls itself"),
        (with_functions(function("f0"), function("f1", "f1")), "model-graph-invalid", "calls itself"),
        (with_functions(*BOMB, function("f9")), "model-too-large", "1,000,000,001 nodes"),
        (with_functions(*CHAIN, function("f5000")), "model-too-large", "100 deep"),
        (with_functions(function("f0"), function("f0")), "model-graph-invalid", "own::f0"),
        (growing(PADS), "model-too-large", "output of graph:node/0"),
        (growing(*POOL), "model-unsupported-operator", "larger than onnxbound allows"),
        (constants_without_end, "model-too-large", "ConstantOfShape"),
    ],
)
def test_what_asks_for_too_much(tmp_path: Path, change: Callable[[ModelProto], None], code: str, said: str) -> None:
    model = plain()
    if change.__qualname__.startswith("growing"):
        model.opset_import[0].version = 10  # pads are attributes
    change(model)
    (path := tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    started = process_time()
    with pytest.raises(ModelError) as caught:
        load(path)
    seconds = process_time() - started
    tracemalloc.start()  # it makes everything several times slower
    try:
        with pytest.raises(ModelError):
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == code
    assert said in caught.value.message + "".join(f"{p.where} {p.why}" for p in caught.value.problems)
    assert seconds < SECONDS
    assert peak < (20 * MEMORY if change is constants_without_end else MEMORY)


def test_what_nothing_depends_on_does_not_reach_the_runtime(tmp_path: Path) -> None:
    """An outer product of a terabyte that the runtime would fold when the session is made."""
    model = plain(helper.make_node("MatMul", ["long", "wide"], ["unused"]))
    for name, shape in (("long", (1 << 19, 1)), ("wide", (1, 1 << 19))):
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    rows = np.ones((2, 4), np.float32)
    found = ForwardPass(load(tmp_path / "net.onnx"), CPU, 1, without_bias=False).run(rows)
    np.testing.assert_allclose(found.logits, rows @ W, rtol=1e-6)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes in protobuf's own encoding."""
    length, size = len(content), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def test_deep_nesting_is_not_a_model(tmp_path: Path) -> None:
    """Graphs in attributes of nodes of graphs, 10,000 deep."""
    graph = b""
    for _ in range(10_000):
        graph = field(1, field(5, field(6, graph)))  # GraphProto.node, NodeProto.attribute, AttributeProto.g
    (tmp_path / "net.onnx").write_bytes(field(7, graph))
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "net.onnx")
    assert caught.value.code == "model-invalid"


def test_nodes_in_the_worst_order_are_sorted_in_proportion_to_their_number(tmp_path: Path) -> None:
    """Four times as many take four times as long, and not sixteen times."""
    seconds = []
    for count in (2_500, 10_000):
        relus = (helper.make_node("Relu", [f"t{k}"], [f"t{k + 1}"]) for k in reversed(range(count)))
        model = plain(*relus, x=f"t{count}")
        model.graph.input[0].name = "t0"
        (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
        started = process_time()
        assert load(tmp_path / "net.onnx").depth == 1
        seconds.append(process_time() - started)
    assert seconds[1] < 8 * seconds[0]


def external(folder: Path, location: str) -> Path:
    model = plain()
    set_external_data(model.graph.initializer[0], location)
    model.graph.initializer[0].ClearField("raw_data")
    folder.mkdir(exist_ok=True)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return folder / "net.onnx"


def logits(network: Network) -> np.ndarray:
    return ForwardPass(network, CPU, 1, without_bias=False).run(np.ones((2, 4), np.float32)).logits


def test_a_model_cache_is_read_through_its_links_once_it_is_allowed(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots"
    blobs.mkdir()
    (blobs / "a1").write_bytes(W.tobytes())
    path = external(snapshot, "net.data")
    path.rename(blobs / "b2")
    path.symlink_to(blobs / "b2")
    (snapshot / "net.data").symlink_to(blobs / "a1")
    with pytest.raises(ModelError, match="outside its own folder") as caught:
        load(path)
    assert "`external_root`" in caught.value.problems[0].do
    with pytest.raises(ModelError, match="outside its own folder"):
        load(path, external_root=tmp_path / "elsewhere")
    np.testing.assert_allclose(logits(load(path, external_root=blobs)), np.ones((2, 4)) @ W, rtol=1e-6)


def test_constant_nodes_may_lie_outside_too(tmp_path: Path) -> None:
    model = plain()
    (tensor,) = model.graph.initializer
    set_external_data(tensor, "net.data")
    tensor.ClearField("raw_data")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    del model.graph.initializer[:]
    (tmp_path / "net.data").write_bytes(W.tobytes())
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    np.testing.assert_allclose(logits(load(tmp_path / "net.onnx")), np.ones((2, 4)) @ W, rtol=1e-6)


def test_other_tensors_of_nodes_may_not(tmp_path: Path) -> None:
    model = plain()
    huge_tensor_in_a_branch(model)
    (node,) = (node for node in model.graph.node if node.op_type == "If")
    for attribute in node.attribute:
        attribute.g.node[0].attribute[0].t.raw_data = b""
        set_external_data(attribute.g.node[0].attribute[0].t, "net.data")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="keeps a tensor in another file") as caught:
        load(tmp_path / "net.onnx")
    assert caught.value.code == "model-external-data"


@pytest.mark.parametrize("location", ["../secret", "{}/secret", "link", "below/../../secret", "*/_ORT_MEM_ADDR_/*"])
def test_external_data_elsewhere_is_not_touched(tmp_path: Path, location: str) -> None:
    os.mkfifo(tmp_path / "secret")  # whoever opened it would wait for ever
    path = external(tmp_path / "model", location.format(tmp_path))
    (tmp_path / "model" / "below").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError) as caught:
        load(path)
    assert caught.value.code == "model-external-data"


@pytest.mark.parametrize("location", ["a\0b", "x" * 5000, "loop"])
def test_external_data_under_impossible_names(tmp_path: Path, location: str) -> None:
    path = external(tmp_path, location)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ModelError) as caught:
        load(path)
    assert caught.value.code == "model-external-data"


@pytest.mark.parametrize(("key", "value"), [("offset", "ten"), ("offset", "-1"), ("length", "1"), ("offset", "9" * 30)])
def test_external_data_at_impossible_places(tmp_path: Path, key: str, value: str) -> None:
    path = external(tmp_path, "net.data")
    (tmp_path / "net.data").write_bytes(W.tobytes())
    model = ModelProto.FromString(path.read_bytes())
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as caught:
        load(path)
    assert caught.value.code == "model-external-data"
