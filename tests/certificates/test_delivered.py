"""What a network's file delivers decides, for one row at a time: what stands elsewhere in the file does not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, helper

from onnxbound import load
from onnxbound.certificates.decisions import Evaluation
from onnxbound.certificates.evidence import ByFile
from onnxbound.certificates.winner import UNCLEAR
from onnxbound.data.open import open_rows
from onnxbound.errors import ModelError
from onnxbound.run.device import CPU
from tests.nets import write_model

W = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)
Y = (X @ W.T).argmax(axis=1)


def node(op_type: str, inputs: str, output: str, **attributes: object) -> NodeProto:
    return helper.make_node(op_type, inputs.split(), [output], **attributes)


Z = node("MatMul", "x w", "z")
LABEL = [node("ArgMax", "z", "place", axis=1, keepdims=0), node("Gather", "classes place", "label")]


def decided(
    folder: Path, nodes: Sequence[NodeProto], output: str, labels_start: int | None = None, **constants: object
) -> NDArray[np.int64]:
    held = {"w": W.T.copy()} | {name: np.asarray(value) for name, value in constants.items()}
    network = load(write_model(folder / "net.onnx", nodes, held, ["N", 6], output=output))
    labels = Y + (labels_start or 0)
    rows = open_rows((X, labels), ByFile.of(network), labels_start=labels_start or 0)
    return Evaluation(CPU, 1)(network, rows)


def delivered(folder: Path) -> NDArray[np.generic]:
    session = onnxruntime.InferenceSession(folder / "net.onnx")
    (result,) = session.run(None, {"x": X})
    return np.asarray(result)


@pytest.mark.parametrize("aim", [1, 2, 500, 7919])
def test_a_net_that_minds_the_size_of_its_batch_is_judged_by_rows_alone(tmp_path: Path, aim: int) -> None:
    """Logits turned over where a batch has `aim` rows, for a few of the rows only."""
    nodes = [
        Z,
        node("Shape", "x", "s"),
        node("Gather", "s first", "n"),
        node("Equal", "n aim", "e"),
        node("Cast", "e", "f", to=1),
        node("MatMul", "x pick", "c"),
        node("Sub", "c edge", "d"),
        node("Mul", "d steep", "t"),
        node("Clip", "t zero one", "on"),
        node("Mul", "on f", "g"),
        node("Mul", "g two", "h"),
        node("Mul", "z h", "k"),
        node("Sub", "z k", "logits"),
    ]
    numbers = {"edge": 2.0, "steep": 1e6, "zero": 0.0, "one": 1.0, "two": 2.0}
    constants = {name: np.float32(value) for name, value in numbers.items()}
    pick = np.zeros((6, 1), np.float32)
    pick[0] = 1
    turned = X[:, 0] > 2
    assert 1 <= turned.sum() < 10
    constants |= {"first": np.array(0), "aim": np.array(aim), "pick": pick}
    if aim == 1:
        with pytest.raises(ModelError, match="influence each other"):
            decided(tmp_path, nodes, "logits", **constants)
    else:
        np.testing.assert_array_equal(decided(tmp_path, nodes, "logits", **constants), Y)


@pytest.mark.parametrize("classes", [[2, 0, 1], [1, 0, 2]])
def test_the_label_that_is_delivered_counts(tmp_path: Path, classes: list[int]) -> None:
    found = decided(tmp_path, [Z, *LABEL], "label", classes=np.array(classes))
    np.testing.assert_array_equal(found, delivered(tmp_path))
    assert np.mean(found == Y) < 0.5


def test_labels_may_be_counted_from_another_number(tmp_path: Path) -> None:
    found = decided(tmp_path, [Z, *LABEL], "label", 4, classes=np.array([4, 5, 6]))
    np.testing.assert_array_equal(found, Y)


@pytest.mark.parametrize("classes", [[5, 7, 9], [1, 2, 3], ["cat", "dog", "emu"]])
def test_classes_that_are_not_counted_as_the_labels_are_refused(tmp_path: Path, classes: list[object]) -> None:
    with pytest.raises(ModelError, match="counts the classes") as raised:
        decided(tmp_path, [Z, *LABEL], "label", classes=np.array(classes))
    assert raised.value.code == "model-not-classifier"


@pytest.mark.parametrize(("operator", "factor"), [("Sigmoid", 1e6), ("Softmax", 1e-9)])
def test_a_head_before_the_argmax_that_makes_ties(tmp_path: Path, operator: str, factor: float) -> None:
    """The file names class 0 where all scores are alike; no row of those counts as right that it gets wrong."""
    nodes = [
        Z,
        node("Mul", "z factor", "v"),
        node(operator, "v", "p"),
        node("ArgMax", "p", "label", axis=1, keepdims=0),
    ]
    found = decided(tmp_path, nodes, "label", factor=np.float32(factor))
    label = delivered(tmp_path)
    assert np.mean(label != Y) > 0.3
    np.testing.assert_array_equal(found[label != Y] == Y[label != Y], False)


def test_outputs_that_disagree_decide_nothing(tmp_path: Path) -> None:
    """A label and scores that are turned around: the file says two things of every row but the middle class."""
    nodes = [Z, node("ArgMax", "z", "label", axis=1, keepdims=0), node("Gather", "z turn", "scores", axis=1)]
    path = write_model(tmp_path / "net.onnx", nodes, {"w": W.T.copy(), "turn": np.array([2, 1, 0])}, ["N", 6])
    import onnx

    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ("label", "scores"))
    onnx.save(model, path)
    network = load(path)
    found = Evaluation(CPU, 1)(network, open_rows((X, Y), ByFile.of(network)))
    np.testing.assert_array_equal(found, np.where(Y == 1, 1, UNCLEAR))


def test_one_score_of_two_classes(tmp_path: Path) -> None:
    """z > 0 and p = Sigmoid(z) > 1/2 are one decision."""
    two = {"v": W[:1].T.copy()}
    labels = (X @ W[0] > 0).astype(np.int64)
    for nodes, output in (
        ([node("MatMul", "x v", "z1")], "z1"),
        ([node("MatMul", "x v", "z1"), node("Sigmoid", "z1", "p")], "p"),
    ):
        network = load(write_model(tmp_path / f"{output}.onnx", nodes, two, ["N", 6], output=output))
        found = Evaluation(CPU, 1)(network, open_rows((X, labels), ByFile.of(network)))
        np.testing.assert_array_equal(found, labels)
