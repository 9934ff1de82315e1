"""What stands behind the logits decides as they do, and names the classes; where it does not, the file is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.settings import Settings
from onnxbound.data.open import open_rows
from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from tests.graph.test_head import BINARY, X, linear, logits_of, runtime, same_to_the_runtime, tail

Nodes = list[NodeProto]
Constants = dict[str, Any]

W = np.float32([[1, 2, 3, 0], [4, 5, 6, -9]])
NAMES = np.array([7, 1, 2, 5])
WORDS = np.array(["a", "b", "é", "3"], object)


def ml(op: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), domain="ai.onnx.ml", **attributes)


PRODUCT = tail("MatMul", "x w", "z")
BEST = [PRODUCT, tail("ArgMax", "z", "k", axis=1, keepdims=0)]
KEPT = [PRODUCT, tail("Softmax", "z", "p", axis=1), tail("ArgMax", "p", "k", axis=1)]
P = [PRODUCT, tail("Sigmoid", "z", "p")]

NAMED: list[tuple[Nodes, Constants, tuple[Any, ...]]] = [
    ([*BEST, tail("Identity", "k", "label")], {}, (0, 1, 2, 3)),
    ([*BEST, tail("Gather", "names k", "label")], {"names": NAMES}, (7, 1, 2, 5)),
    ([*BEST, tail("Gather", "names k", "label")], {"names": WORDS}, ("a", "b", "é", "3")),
    ([*KEPT, ml("ArrayFeatureExtractor", "names k", "v"), tail("Reshape", "v all", "label")],
     {"names": NAMES, "all": [-1]}, (7, 1, 2, 5)),
    ([*KEPT, ml("ArrayFeatureExtractor", "names k", "v"), tail("Reshape", "v all", "label")],
     {"names": WORDS, "all": [-1]}, ("a", "b", "é", "3")),
    ([*BEST, tail("Add", "k one", "label")], {"one": 1}, (1, 2, 3, 4)),
    ([*BEST, tail("Cast", "k", "f", to=TensorProto.FLOAT), tail("Mul", "f ten", "m"), tail("Sub", "m three", "label")],
     {"ten": np.float32(10), "three": np.float32(3)}, (-3, 7, 17, 27)),
    ([*BEST, ml("LabelEncoder", "k", "label", keys_int64s=[2, 0, 1], values_strings=["u", "v", "w"])], {},
     ("v", "w", "u", "_Unused")),
    ([*BEST, ml("LabelEncoder", "k", "label", keys_int64s=[2, 0, 1], values_int64s=[5, 4, 9], default_int64=-1)], {},
     (4, 9, 5, -1)),
    ([*BEST, tail("OneHot", "k four ends", "label")], {"four": 4, "ends": np.float32([0, 1])}, (0, 1, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "expected"), NAMED)
def test_names_of_classes(tmp_path: Path, nodes: Nodes, constants: Constants, expected: tuple[Any, ...]) -> None:
    path = linear(tmp_path / "net.onnx", nodes, ["label"], w=W, **constants)
    network = load(path)
    assert network.output == "z"
    assert network.class_labels == expected
    (given,) = runtime(path, X)
    found = [network.class_labels[k] for k in logits_of(network, X).argmax(axis=1)]
    assert found == (given.ravel() if given.size == len(X) else given.argmax(axis=1)).tolist()


DECISIONS: list[tuple[Nodes, tuple[Any, ...]]] = [
    ([*P, tail("Greater", "p half", "label")], (0, 1)),
    ([*P, tail("GreaterOrEqual", "p half", "label")], (0, 1)),
    ([*P, tail("Greater", "half p", "label")], (1, 0)),
    ([*P, tail("Less", "p half", "b"), tail("Cast", "b", "label", to=TensorProto.INT64)], (1, 0)),
    ([PRODUCT, tail("Greater", "z zero", "b"), tail("Cast", "b", "label", to=TensorProto.FLOAT)], (0, 1)),
    ([*P, tail("Greater", "p half", "b"), tail("Where", "b one minus", "label")], (-1, 1)),
    ([*P, tail("Greater", "p half", "b"), tail("Not", "b", "label")], (1, 0)),
    ([*P, tail("Round", "p", "label")], (0, 1)),
]


@pytest.mark.parametrize(("nodes", "expected"), DECISIONS)
def test_a_single_logit_against_a_threshold(tmp_path: Path, nodes: Nodes, expected: tuple[Any, ...]) -> None:
    constants = {"half": np.float32(0.5), "zero": np.float32(0), "one": 1, "minus": -1}
    path = linear(tmp_path / "net.onnx", nodes, ["label"], w=BINARY, **constants)
    network = load(path)
    assert network.class_labels == expected
    assert network.classes == 2
    found = [network.class_labels[k] for k in logits_of(network, X).argmax(axis=1)]
    assert found == runtime(path, X)[0].ravel().tolist()
    assert same_to_the_runtime(network, X)


@pytest.mark.parametrize("words", [False, True])
def test_a_linear_classifier_and_a_zip_map_name_their_classes(tmp_path: Path, *, words: bool) -> None:
    names, kind = (["x", "y", "z"], "strings") if words else ([4, 1, 9], "int64s")
    classes = {"classlabels_strings" if words else "classlabels_ints": names}
    coefficients: dict[str, Any] = {"coefficients": [1.0, 2.0, -1.0, 0.5, 0.25, -2.0], "intercepts": [0.0, 0.1, 0.2]}
    linear_classifier = ml("LinearClassifier", "x", "label scores", **classes, **coefficients)
    zip_map = ml("ZipMap", "scores", "m", **{f"classlabels_{kind}": names})
    for outputs in (["label", "m"], ["m"], ["label"]):
        path = linear(tmp_path / "net.onnx", [linear_classifier, zip_map], outputs)
        network = load(path)
        assert network.class_labels == tuple(names)
        (first, *_) = runtime(path, X)
        given = [max(row, key=row.get) for row in first] if outputs == ["m"] else first.tolist()
        assert [names[k] for k in logits_of(network, X).argmax(axis=1)] == given


def with_axis(tmp_path: Path, op: str, axis: int, row: list[int], opset: int = 17) -> Path:
    nodes = [PRODUCT, tail("Reshape", "z row", "r"), tail(op, "r", "p", axis=axis)]
    return linear(tmp_path / "net.onnx", nodes, ["p"], w=W, row=[-1, *row], opset=opset)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(
    ("row", "axis"), [([4], 1), ([4, 1], -2), ([4, 1], 1), ([1, 4], -1), ([1, 1, 4], 3), ([4, 1, 1], 1)]
)
def test_probabilities_over_the_axis_of_the_classes(tmp_path: Path, op: str, axis: int, row: list[int]) -> None:
    path = with_axis(tmp_path, op, axis, row)
    network = load(path)
    assert network.classes == 4
    assert op in str(network.head)
    np.testing.assert_array_equal(
        logits_of(network, X).argmax(axis=1), runtime(path, X)[0].reshape(len(X), 4).argmax(axis=1)
    )
    assert same_to_the_runtime(network, X)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(("row", "axis"), [([4, 1], -1), ([4, 1], 2), ([1, 4], 1), ([1, 1, 4], 2)])
def test_probabilities_over_an_axis_of_length_1_say_nothing(tmp_path: Path, op: str, axis: int, row: list[int]) -> None:
    path = with_axis(tmp_path, op, axis, row)
    with pytest.raises(ModelError, match="does not choose the class of the largest entry") as caught:
        load(path)
    assert caught.value.code == "model-not-classifier"
    (problem,) = caught.value.problems
    assert (problem.where, problem.why) == ("output 'p'", "it is the same whatever the row")
    assert problem.do == '`logits="r"` reads the tensor that it is computed from'
    assert load(path, logits="r").classes == 4


def test_before_opset_13_an_axis_stands_for_all_behind_it(tmp_path: Path) -> None:
    path = with_axis(tmp_path, "Softmax", 1, [1, 4], opset=12)
    network = load(path)
    assert network.classes == 4
    np.testing.assert_array_equal(logits_of(network, X).argmax(axis=1), runtime(path, X)[0][:, 0].argmax(axis=1))


def test_a_softmax_of_a_single_logit_is_constant(tmp_path: Path) -> None:
    path = linear(tmp_path / "net.onnx", [PRODUCT, tail("Softmax", "z", "p")], ["p"], w=BINARY)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert caught.value.problems[0].why == "it is 1 whatever the row"
    assert load(path, logits="z").classes == 2


def test_a_softmax_over_groups_of_classes_stays_in_the_net(tmp_path: Path) -> None:
    nodes = [
        PRODUCT, tail("Reshape", "z pairs", "r"), tail("Softmax", "r", "s", axis=-1), tail("Reshape", "s flat", "p")
    ]  # fmt: skip
    path = linear(tmp_path / "net.onnx", nodes, ["p"], w=W, pairs=[-1, 2, 2], flat=[-1, 4])
    network = load(path)
    assert network.head is None
    np.testing.assert_allclose(logits_of(network, X), runtime(path, X)[0], atol=1e-6)


OTHERWISE: list[tuple[Nodes, Constants, str]] = [
    ([*BEST, tail("Div", "k two", "label")], {"two": 2}, "it is not the class of the largest logit"),
    ([PRODUCT, tail("Neg", "z", "n"), tail("ArgMax", "n", "label", axis=0)], {}, "it cannot be evaluated"),
    ([*BEST, tail("Gather", "rows k", "label")], {"rows": np.eye(4)[::-1].copy()}, "it is not the class"),
    ([*P, tail("Greater", "p half", "label")], {"half": np.float32(0.5)}, "it is not the class of the largest logit"),
    ([*P, tail("Greater", "p most", "label")], {"most": np.float32(0.505), "w": BINARY}, "it is not the class of"),
    ([*P, tail("Sigmoid", "p", "s"), tail("Greater", "s half", "label")],
     {"half": np.float32(0.5), "w": BINARY}, "it is 1 whatever the row"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "why"), OTHERWISE)
def test_what_decides_otherwise_is_refused(tmp_path: Path, nodes: Nodes, constants: Constants, why: str) -> None:
    path = linear(tmp_path / "net.onnx", nodes, ["label"], **{"w": W, **constants})
    with pytest.raises(ModelError) as caught:
        load(path)
    assert caught.value.code == "model-not-classifier"
    assert caught.value.problems[0].why.startswith(why)
    assert "`logits=" in caught.value.problems[0].do


def test_what_follows_a_decision_and_is_no_name_is_said(tmp_path: Path) -> None:
    nodes = [*BEST, tail("Equal", "k zero", "is"), tail("Where", "is hundred k", "label")]
    path = linear(tmp_path / "net.onnx", nodes, ["label"], w=W, zero=0, hundred=100)
    with pytest.raises(ModelError) as caught:
        load(path)
    (problem,) = [problem for problem in caught.value.problems if "ArgMax" in problem.where]
    assert problem.why == "it chooses a class, and the nodes behind it do not turn that into the name of a class"
    assert problem.do == '`logits="z"` reads the scores that it chooses by'
    assert load(path, logits="z").class_labels == (0, 1, 2, 3)


@pytest.mark.parametrize("batch", [1, 3, "N"])
def test_a_head_with_a_fixed_batch_and_shapes_of_other_tensors(tmp_path: Path, batch: int | str) -> None:
    """As `probabilities.view(x.size(0), -1)` is exported: the shape is the data input's own."""
    nodes = [
        *KEPT[:2], tail("Shape", "x", "lengths", start=0, end=1), tail("Concat", "lengths rest", "shape", axis=0),
        tail("Reshape", "p shape", "q"), tail("ArgMax", "q", "k", axis=1), tail("Gather", "names k", "label"),
    ]  # fmt: skip
    path = linear(tmp_path / "net.onnx", nodes, ["label"], w=W, rest=[-1], names=NAMES, batch=batch)
    network = load(path)
    assert network.class_labels == (7, 1, 2, 5)
    assert "stripped the head class names <- ArgMax <- Reshape <- Softmax" in str(network.head)


def test_of_two_outputs_with_names_the_first_counts_and_both_are_checked(tmp_path: Path) -> None:
    nodes = [*KEPT, tail("Gather", "names k", "label"), ml("ZipMap", "p", "m", classlabels_strings=list("abcd"))]
    path = linear(tmp_path / "net.onnx", nodes, ["m", "label"], w=W, names=NAMES)
    assert load(path).class_labels == ("a", "b", "c", "d")
    nodes[-2] = tail("Gather", "names zero", "label")
    path = linear(
        tmp_path / "net.onnx", [*nodes[:-2], tail("Div", "k two", "label"), nodes[-1]], ["m", "label"], w=W, two=2
    )
    with pytest.raises(ModelError, match="is not the class of") as caught:
        load(path)
    assert caught.value.problems[0].where == "output 'label'"


def test_many_classes(tmp_path: Path) -> None:
    """More than are evaluated at once."""
    weight = np.random.default_rng(0).normal(size=(2, 600)).astype(np.float32)
    names = np.random.default_rng(1).permutation(600)
    nodes = [*BEST, tail("Gather", "names k", "label")]
    network = load(linear(tmp_path / "net.onnx", nodes, ["label"], w=weight, names=names))
    assert network.class_labels == tuple(names.tolist())


def test_errors_are_counted_by_the_names(tmp_path: Path) -> None:
    """Labels that the file's own labels are right about in all but four rows of twenty."""
    nodes = [*BEST, tail("Gather", "names k", "label")]
    path = linear(tmp_path / "net.onnx", nodes, ["label"], w=W, names=NAMES)
    labels = runtime(path, X)[0]
    labels[:4] = np.where(labels[:4] == 1, 2, 1)
    np.savez(tmp_path / "rows.npz", x=X, y=labels)
    network = load(path)
    report = analyze(network, open_rows(tmp_path / "rows.npz", network), Settings(measured=4, device="cpu", threads=1))
    assert report.data.train_error == 0.2
