"""What stands behind the logits is cut off and reported."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
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
