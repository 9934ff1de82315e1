"""What stands behind the logits is cut off and reported."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.run.device import resolve_device
from onnxbound.run.forward_norms import ForwardPass
from tests.nets import model_of

W = np.float32([[1, 2, 3], [4, 5, 6]])


def tail(op: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    domain = "ai.onnx.ml" if op == "ZipMap" else ""
    return helper.make_node(op, inputs.split(), outputs.split(), domain=domain, **attributes)


def net(path: Path, nodes: list[NodeProto], outputs: list[str]) -> Network:
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["z"]), *nodes], {"w": W}, ["N", 2])
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    path.write_bytes(model.SerializeToString())
    return load(path)


HEADS = [
    ([], ["z"], None),
    ([tail("Softmax", "z", "p", axis=1)], ["p"], "Softmax"),
    ([tail("LogSoftmax", "z", "p", axis=-1)], ["p"], "LogSoftmax"),
    ([tail("Sigmoid", "z", "p")], ["p"], "Sigmoid"),
    ([tail("ArgMax", "z", "c", axis=1)], ["c"], "ArgMax"),
    ([tail("Softmax", "z", "p"), tail("ArgMax", "p", "c", axis=1)], ["c"], "ArgMax <- Softmax"),
    ([tail("Identity", "z", "i"), tail("Softmax", "i", "p"), tail("Identity", "p", "o")], ["o"], "Softmax"),
    (
        [
            tail("ArgMax", "z", "label", axis=1, keepdims=0),
            tail("Softmax", "z", "p"),
            tail("ZipMap", "p", "m", classlabels_int64s=[0, 1, 2]),
        ],
        ["label", "m"],
        "ArgMax",
    ),
    (
        [tail("Softmax", "z", "p"), tail("ZipMap", "p", "m", classlabels_int64s=[0, 1, 2])],
        ["m"],
        "ai.onnx.ml::ZipMap <- Softmax",
    ),
]


@pytest.mark.parametrize(("nodes", "outputs", "head"), HEADS)
def test_head(tmp_path: Path, nodes: list[NodeProto], outputs: list[str], head: str | None) -> None:
    network = net(tmp_path / "net.onnx", nodes, outputs)
    assert network.output == "z"
    assert network.classes == 3
    assert network.head == (None if head is None else f"stripped the head {head}")


def test_several_outputs_the_first_that_leads_to_logits_is_read(tmp_path: Path) -> None:
    nodes = [tail("Relu", "z", "features")]
    network = net(tmp_path / "net.onnx", nodes, ["z", "features"])
    assert network.output == "z"
    assert network.head is not None
    assert "of 2 outputs, 'z' is read as the logits" in network.head


def test_what_hangs_on_the_side_is_dropped(tmp_path: Path) -> None:
    network = net(tmp_path / "net.onnx", [tail("Tanh", "z", "side"), tail("Erf", "side", "unread")], ["z"])
    assert len(network.steps) == 1
    assert any("2 nodes that the logits do not depend on" in note for note in network.notes)


def test_softmax_in_the_middle_is_no_head(tmp_path: Path) -> None:
    nodes = [tail("Softmax", "z", "p"), tail("Cast", "p", "o", to=TensorProto.DOUBLE)]
    assert net(tmp_path / "net.onnx", nodes, ["o"]).output == "z"


def runtime(path: Path, x: NDArray[np.float32]) -> list[Any]:
    """Every output of the file, by onnxruntime."""
    results: list[Any] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    return results


def logits_of(network: Network, x: NDArray[np.float32]) -> NDArray[np.float64]:
    rows = x.astype(np.float64)
    return linearise(network.cast(np.float64), rows, {network.output}).values[network.output]


def same_to_the_runtime(network: Network, x: NDArray[np.float32]) -> bool:
    """Whether the message that sessions are given computes the network's logits."""
    found = ForwardPass(network, resolve_device("cpu"), 1, without_bias=False).run(x.astype(network.input_type)).logits
    return np.allclose(found, logits_of(network, x), rtol=0, atol=1e-5)


X = np.random.default_rng(5).normal(size=(20, 2)).astype(np.float32)
BINARY = np.float32([[1], [-2]])


def linear(
    path: Path, nodes: list[NodeProto], outputs: list[str], *, opset: int = 17, batch: int | str = "N", **constants: Any
) -> Path:
    """Nodes from "x", rows of two numbers."""
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    model = model_of(nodes, arrays, [batch, 2], opset=opset)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    path.write_bytes(model.SerializeToString())
    return path


def sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-z)))


@pytest.mark.parametrize("opset", [7, 10, 11, 13, 18])
@pytest.mark.parametrize("squeezed", [False, True])
@pytest.mark.parametrize("head", ["", "Sigmoid"])
def test_a_single_logit_is_two_classes(tmp_path: Path, opset: int, head: str, *, squeezed: bool) -> None:
    nodes = [tail("MatMul", "x w", "z")]
    if head:
        nodes.append(tail(head, "z", "p"))
    last = nodes[-1].output[0]
    if squeezed and opset < 13:
        nodes.append(tail("Squeeze", last, "s", axes=[1]))
    elif squeezed:
        nodes.append(tail("Squeeze", f"{last} axis", "s"))
    axis = {"axis": np.array([1])} if squeezed and opset >= 13 else {}
    path = linear(tmp_path / "net.onnx", nodes, [nodes[-1].output[0]], opset=opset, w=BINARY, **axis)
    network = load(path)
    assert network.classes == 2
    assert network.head is not None
    assert "(0, z)" in network.head
    logits = logits_of(network, X)
    np.testing.assert_array_equal(logits[:, 0], 0)
    (expected,) = runtime(path, X)
    found = sigmoid(logits[:, 1]) if head else logits[:, 1]
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-5, atol=1e-6)
    assert same_to_the_runtime(network, X)


def test_both_sides_of_a_sigmoid_are_one_logit(tmp_path: Path) -> None:
    nodes = [
        tail("MatMul", "x w", "z"),
        tail("Sigmoid", "z", "p"),
        tail("Sub", "one p", "q"),
        tail("Concat", "q p", "both", axis=1),
        tail("ArgMax", "both", "best", axis=1),
        tail("ArrayFeatureExtractor", "names best", "name"),
        tail("Reshape", "name shape", "label"),
    ]
    nodes[5].domain = "ai.onnx.ml"
    constants = {"w": BINARY, "one": np.float32(1), "names": np.array([3, 8]), "shape": np.array([-1])}
    path = linear(tmp_path / "net.onnx", nodes, ["label", "both"], **constants)
    network = load(path)
    assert network.head is not None
    assert "class names <- ArgMax <- [1 - p, p] <- Sigmoid" in network.head
    labels, both = runtime(path, X)
    logits = logits_of(network, X)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), both, atol=1e-6)
    np.testing.assert_array_equal(np.array([3, 8])[logits.argmax(axis=1)], labels)
    assert same_to_the_runtime(network, X)


@pytest.mark.parametrize("shifted", [True, False])
@pytest.mark.parametrize("logarithm", [True, False])
def test_a_softmax_that_is_spelled_out(tmp_path: Path, *, shifted: bool, logarithm: bool) -> None:
    u = "u" if shifted else "z"
    nodes = [
        tail("MatMul", "x w", "z"),
        tail("ReduceMax", "z", "m", axes=[1], keepdims=1),
        tail("Sub", "z m", "u"),
        tail("Exp", u, "e"),
        tail("ReduceSum", "e axes", "s", keepdims=1),
        *([tail("Log", "s", "l"), tail("Sub", f"{u} l", "p")] if logarithm else [tail("Div", "e s", "p")]),
    ]
    network = load(linear(tmp_path / "net.onnx", nodes, ["p"], w=W, axes=[-1]))
    assert network.output == "z"
    assert network.head is not None
    assert "spelled out" in network.head


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_linear_classifier_behind_a_scaler(tmp_path: Path, transform: str, kind: type[Any]) -> None:
    """A pipeline as scikit-learn's exporter writes it; its input may be float64, which these two operators take."""
    random = np.random.default_rng(0)
    weight, bias = random.normal(size=(3, 2)), random.normal(size=3)
    nodes = [
        helper.make_node("Scaler", ["x"], ["scaled"], domain="ai.onnx.ml", offset=[0.5, -1.0], scale=[2.0, 0.25]),
        helper.make_node(
            "LinearClassifier", ["scaled"], ["label", "scores"], domain="ai.onnx.ml", classlabels_ints=[4, 5, 9],
            coefficients=weight.ravel().tolist(), intercepts=bias.tolist(), post_transform=transform,
        ),
    ]  # fmt: skip
    path = linear(tmp_path / "net.onnx", nodes, ["label", "scores"])
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    path.write_bytes(model.SerializeToString())
    network = load(path)
    assert (network.depth, network.classes, network.parameters) == (1, 3, 9)
    labels, scores = runtime(path, X.astype(kind))
    logits = logits_of(network, X)
    exponential = np.exp(logits)
    expected = {
        "NONE": logits,
        "SOFTMAX": exponential / exponential.sum(axis=1, keepdims=True),
        "LOGISTIC": sigmoid(logits),
    }
    np.testing.assert_allclose(scores, expected[transform], atol=1e-6)
    np.testing.assert_array_equal(np.array([4, 5, 9])[logits.argmax(axis=1)], labels)
    assert same_to_the_runtime(network, X)


def test_a_linear_classifier_of_two_classes_in_one_row_is_named(tmp_path: Path) -> None:
    attributes: dict[str, Any] = {"classlabels_ints": [0, 1], "coefficients": [1.0, 2.0], "intercepts": [0.5]}
    node = helper.make_node("LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", **attributes)
    with pytest.raises(ModelError, match="LinearClassifier") as caught:
        load(linear(tmp_path / "net.onnx", [node], ["label", "scores"]))
    assert caught.value.code == "model-unsupported-operator"


def test_logits_over_pixels_of_one(tmp_path: Path) -> None:
    nodes = [
        tail("Reshape", "x shape", "image"),
        tail("Conv", "image w", "z"),
        tail("Softmax", "z", "p", axis=1),
    ]
    path = linear(tmp_path / "net.onnx", nodes, ["p"], w=W.T.reshape(3, 2, 1, 1), shape=[-1, 2, 1, 1])
    network = load(path)
    assert network.classes == 3
    logits = logits_of(network, X)
    np.testing.assert_allclose(logits, X @ W, rtol=1e-6)
    assert same_to_the_runtime(network, X)


def test_of_several_outputs_one_is_asked_for(tmp_path: Path) -> None:
    nodes = [tail("MatMul", "x w", "z"), tail("MatMul", "x v", "other"), tail("Softmax", "other", "p")]
    path = linear(tmp_path / "net.onnx", nodes, ["z", "p"], w=W, v=2 * W[:, :2])
    assert load(path).output == "z"
    assert load(path, logits="p").output == "other"
    assert load(path, logits="other").classes == 2
    with pytest.raises(ModelError, match="no tensor 'q'") as caught:
        load(path, logits="q")
    assert caught.value.code == "model-output"
    assert [problem.where for problem in caught.value.problems] == ["output 'z'", "output 'p'"]


def test_of_several_inputs_the_others_are_held(tmp_path: Path) -> None:
    path = linear(tmp_path / "net.onnx", [tail("MatMul", "x w", "y"), tail("Mul", "y scale", "z")], ["z"], w=W)
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, ["N", 1]))
    path.write_bytes(model.SerializeToString())
    network = load(path, fixed={"scale": np.array(3)})
    np.testing.assert_allclose(logits_of(network, X), 3 * X @ W, rtol=1e-6)
    assert same_to_the_runtime(network, X)
    assert "held fixed: scale" in network.notes
    for name, value, message in (("scales", np.array(3), "no input 'scales'"), ("scale", np.array("a"), "held at")):
        with pytest.raises(ModelError, match=message) as caught:
            load(path, fixed={name: value})
        assert caught.value.code == "model-inputs"


def test_new_names_avoid_those_of_the_file(tmp_path: Path) -> None:
    """A file that computes something else under a name that a pass would choose."""
    plain = linear(tmp_path / "plain.onnx", [tail("MatMul", "x w", "z")], ["z"], w=BINARY)
    taken = load(plain).output
    nodes = [tail("MatMul", "x w", "z"), tail("Neg", "x", taken)]
    network = load(linear(tmp_path / "net.onnx", nodes, ["z", taken], w=BINARY), logits="z")
    assert network.output != taken
    assert same_to_the_runtime(network, X)
