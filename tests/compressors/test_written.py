"""Every method on every kind of net: the file is valid, runs, and is the compressed net."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxbound.compressors.budget import Budget
from onnxbound.compressors.compressed import CompressedNetwork, MethodName
from onnxbound.compressors.evaluate import Baseline, reopen, require_agreement
from onnxbound.compressors.method import Method, compress_layers
from onnxbound.compressors.svd import Factors
from onnxbound.compressors.write import METADATA_KEY, saves, to_model
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from onnxbound.run.model_output import model_files, passes_checker, write_model
from tests.cli.command import failing, onnxbound
from tests.nets import model_of
from tests.nets import write_model as write_net
from tests.oracle.models import fixtures, public_models

CPU = resolve_device("cpu")
BUDGETS: dict[MethodName, Budget] = {
    "matrix-project": Budget("keep", 0.05),
    "matrix-project-conv": Budget("keep", 0.02),
    "svd": Budget("keep", 0.3),
    "quantise": Budget("bits", 4),
}


@dataclass(frozen=True)
class Written:
    """A compressed net, its file, and how far onnxruntime is from NumPy."""

    compressed: CompressedNetwork
    path: Path
    difference: float


def written(network: Network, method: MethodName, folder: Path, *, factorise: bool = False) -> Written:
    compressed = compress_layers(network, Method(method), {layer.index: BUDGETS[method] for layer in network.layers})
    path = folder / "compressed.onnx"
    write_model(to_model(compressed, {"said": 1}, factorise=factorise), path, force=True)
    again = reopen(network, path)
    rows = Baseline(network, CPU, 1, None, 0).sample(network.batch or 4)
    return Written(compressed, path, require_agreement(compressed, again.network, Logits(again.network, CPU, 1), rows))


def described(path: Path) -> tuple[object, ...]:
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    names = ([v.name for v in graph.input if v.name not in weights], [value.name for value in graph.output])
    return *names, [(o.domain, o.version) for o in model.opset_import], model.ir_version, model.producer_name


def require_valid(network: Network, found: Written) -> None:
    assert found.difference <= 1e-4
    assert described(found.path) == described(network.path)
    assert passes_checker(found.path) or not passes_checker(network.path)
    entries = {entry.key: entry.value for entry in onnx.load(found.path, load_external_data=False).metadata_props}
    assert entries[METADATA_KEY] == '{"said":1}'
    assert any(weight.method != "kept" for weight in found.compressed.weights.values())


@pytest.mark.parametrize("method", ["matrix-project", "svd", "quantise"])
@pytest.mark.parametrize("model", fixtures(), ids=lambda model: model.name)
def test_fixtures(model, method: MethodName, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    network = load(model.path)
    found = written(network, method, tmp_path)
    require_valid(network, found)
    operators = [[node.op_type for node in onnx.load(path).graph.node] for path in (network.path, found.path)]
    assert operators[0] == operators[1]


@pytest.mark.parametrize("name", ["cifar10_cnn", "cifar10_resnet"])
def test_filters_per_position(name: str, tmp_path: Path) -> None:
    (model,) = [model for model in fixtures() if model.name == name]
    network = load(model.path)
    found = written(network, "matrix-project-conv", tmp_path)
    require_valid(network, found)
    assert "Transpose" in [node.op_type for node in onnx.load(found.path).graph.node]


@pytest.mark.parametrize("name", ["mnist_mlp", "cifar10_cnn", "cifar10_resnet"])
def test_factorised(name: str, tmp_path: Path) -> None:
    """Two nodes where that saves multiply-adds; a smaller file."""
    (model,) = [model for model in fixtures() if model.name == name]
    network = load(model.path)
    found = written(network, "svd", tmp_path, factorise=True)
    require_valid(network, found)
    two = [w for w in found.compressed.weights.values() if isinstance(w.code, Factors) and saves(w.layer, w.code.rank)]
    before, after = (len(onnx.load(path).graph.node) for path in (network.path, found.path))
    assert after - before == len(two) > 0
    assert found.path.stat().st_size < 0.8 * network.path.stat().st_size


@pytest.mark.parametrize("method", ["matrix-project", "svd", "quantise"])
@pytest.mark.parametrize("model", public_models() or [None], ids=lambda model: model.name if model else "none")
def test_public_models(model, method: MethodName, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    if model is None:
        pytest.skip("ONNXBOUND_TEST_DATA does not name a folder with the public models")
    network = load(model.path)
    require_valid(network, written(network, method, tmp_path, factorise=method == "svd"))


RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def grouped_and_channels_last(path: Path) -> Path:
    """NHWC rows, a transposed grouped convolution with uneven padding and BatchNorm, MatMul of W transposed in the
    graph, a weight in a Constant node."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["n"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["n", "w1", "b1"], ["c"], group=2, strides=[2, 1], auto_pad="SAME_UPPER"),
        helper.make_node("BatchNormalization", ["c", "s", "t", "m", "v"], ["d"]),
        helper.make_node("Relu", ["d"], ["r"]),
        helper.make_node("Transpose", ["r"], ["back"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["back"], ["f"]),
        helper.make_node("Transpose", ["w2"], ["w2t"], perm=[1, 0]),
        helper.make_node("MatMul", ["f", "w2t"], ["h"]),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Constant", [], ["w3"], value=numpy_helper.from_array(normal(12, 5))),
        helper.make_node("Gemm", ["a", "w3", "b3"], ["logits"], alpha=0.5, beta=2.0),
    ]
    constants = {
        "w1": normal(6, 2, 3, 3), "b1": normal(6), "s": normal(6), "t": normal(6), "m": normal(6),
        "v": np.abs(normal(6)), "w2": normal(12, 6 * 3 * 6), "b3": normal(5),
    }  # fmt: skip
    constants["s"][2] = 0.0
    return write_net(path, nodes, constants, ["N", 6, 6, 4])


def sequences(path: Path) -> Path:
    """Convolutions over one axis: dilated, depthwise with two filters per channel, strided without bias."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], dilations=[2], pads=[2, 1]),
        helper.make_node("Relu", ["c1"], ["a1"]),
        helper.make_node("Conv", ["a1", "w2"], ["c2"], group=5, kernel_shape=[3]),
        helper.make_node("Relu", ["c2"], ["a2"]),
        helper.make_node("Conv", ["a2", "w3"], ["c3"], strides=[3]),
        helper.make_node("GlobalAveragePool", ["c3"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    constants = {"w1": normal(5, 8, 3), "b1": normal(5), "w2": normal(10, 1, 3), "w3": normal(4, 10, 4)}
    return write_net(path, nodes, constants, [2, 8, 20])


def shared_weight(path: Path) -> Path:
    """One matrix, two layers."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b1"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w", "b2"], ["i"], transB=1, alpha=0.5),
        helper.make_node("Relu", ["i"], ["c"]),
        helper.make_node("Gemm", ["c", "v"], ["logits"]),
    ]
    constants = {"w": normal(8, 8), "b1": normal(8), "b2": normal(8), "v": normal(8, 4)}
    return write_net(path, nodes, constants, [3, 8])


@pytest.mark.parametrize("method", ["vector-compress", "vector-project", "quantise"])
def test_a_linear_classifier_of_scikit_learn(method: MethodName, tmp_path: Path) -> None:
    """Its weight is an attribute of one node."""
    weight = normal(3, 50)
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", coefficients=weight.ravel().tolist(),
        intercepts=[0.1, 0.2, 0.3], classlabels_ints=[0, 1, 2], post_transform="SOFTMAX", multi_class=1,
    )  # fmt: skip
    model = model_of([node], {}, ["N", 50], output="scores")
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    path = tmp_path / "sk.onnx"
    path.write_bytes(model.SerializeToString())
    network = load(path)
    budget = Budget("bits", 4) if method == "quantise" else Budget("epsilon", 0.8)
    compressed = compress_layers(network, Method(method, constants="paper", eta=0.3), {1: budget})
    out = tmp_path / "out.onnx"
    write_model(to_model(compressed, {}), out, force=True)
    again = reopen(network, out)
    rows = Baseline(network, CPU, 1, None, 0).sample(4)
    assert require_agreement(compressed, again.network, Logits(again.network, CPU, 1), rows) <= 1e-4
    assert [n.op_type for n in onnx.load(out).graph.node] == ["LinearClassifier"]
    (kept,) = compressed.weights.values()
    assert kept.method == method
    assert not np.array_equal(kept.weight, weight)


@pytest.mark.parametrize("build", [grouped_and_channels_last, sequences, shared_weight])
@pytest.mark.parametrize("method", ["matrix-project", "matrix-project-conv", "svd", "quantise"])
def test_nets_by_hand(build, method: MethodName, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(BUDGETS, "matrix-project-conv", Budget("keep", 0.2))
    network = load(build(tmp_path / "net.onnx"))
    if method == "matrix-project-conv" and build is shared_weight:
        pytest.skip("it has no convolution")
    require_valid(network, written(network, method, tmp_path, factorise=method == "svd"))


def test_large_weights_lie_outside_and_are_found_again(tmp_path: Path) -> None:
    network = load(grouped_and_channels_last(tmp_path / "net.onnx"))
    found = written(network, "quantise", tmp_path)
    outside = tmp_path / "other" / "net.onnx"
    outside.parent.mkdir()
    write_model(onnx.load(found.path), outside, force=False, message_bytes=1000)
    assert all(file.exists() for file in model_files(outside))
    rows = Baseline(network, CPU, 1, None, 0).sample(4)
    again, first = (Logits(load(path), CPU, 1).run(rows) for path in (outside, found.path))
    np.testing.assert_array_equal(again, first)
    once_more = written(load(outside), "svd", tmp_path)
    assert once_more.difference <= 1e-4


def test_the_same_bytes_on_one_thread_and_two(tmp_path: Path) -> None:
    (model,) = [model for model in fixtures() if model.name == "mnist_mlp"]
    network = load(model.path)
    contents = []
    for threads in (1, 2):
        method = Method("matrix-project", threads=threads)
        compressed = compress_layers(network, method, {layer.index: Budget("k", 50) for layer in network.layers})
        contents.append(to_model(compressed, {}).SerializeToString(deterministic=True))
    assert contents[0] == contents[1]


def test_filters_per_position_that_make_the_file_larger(tmp_path: Path) -> None:
    """A grouped convolution too: refused, and written where that is forced."""
    net = next(model.path for model in fixtures() if model.name == "cifar10_alexnet")
    out = tmp_path / "out.onnx"
    words = ("compress", net, "-o", out, "--method", "matrix-project-conv", "--keep", "0.02")
    error = failing(*words)
    assert error["code"] == "compress-no-saving"
    assert f"{net.stat().st_size:,} bytes would become" in error["problems"][0]["why"]
    assert not out.exists()
    assert onnxbound(*words, "--force").code == 0
    assert out.stat().st_size > net.stat().st_size
