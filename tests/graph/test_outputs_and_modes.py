"""Further outputs that nothing reads, and nodes in training mode."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper

from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from tests.graph.test_head import linear, logits_of, runtime, same_to_the_runtime

X = np.random.default_rng(5).normal(size=(20, 2)).astype(np.float32)
IMAGE = {"image": np.array([-1, 2, 4, 4]), "wide": np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)}
K = np.random.default_rng(1).normal(size=(3, 2, 2, 2)).astype(np.float32)


def node(op: str, inputs: str, outputs: list[str], **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(" "), outputs, **attributes)


def behind(nodes: list[NodeProto], last: str) -> list[NodeProto]:
    """The nodes between a dense layer, read as an image, and another."""
    return [
        node("MatMul", "x wide", ["y"]),
        node("Reshape", "y image", ["i"]),
        *nodes,
        node("Flatten", last, ["f"]),
        node("MatMul", "f out", ["z"]),
    ]


def constants(width: int) -> dict[str, Any]:
    weight = np.random.default_rng(2).normal(size=(width, 3)).astype(np.float32)
    return {**IMAGE, "k": K, "out": weight, "half": np.float32(0.5), "none": np.float32(0), "yes": True, "no": False}


UNREAD: list[tuple[list[NodeProto], str, int, int]] = [
    ([node("Dropout", "i", ["d", "mask"])], "d", 32, 17),
    ([node("Dropout", "i half no", ["d", "mask"])], "d", 32, 17),
    ([node("Dropout", "i none yes", ["d", "mask"])], "d", 32, 17),
    ([node("Dropout", "i", ["d", "mask"], ratio=0.5)], "d", 32, 11),
    ([node("MaxPool", "i", ["m", "places"], kernel_shape=[2, 2], strides=[2, 2])], "m", 8, 17),
    (
        [node("MaxPool", "i", ["m", "places"], kernel_shape=[2, 2]), node("Cast", "places", ["unread"], to=1)],
        "m",
        18,
        17,
    ),
    ([node("LayerNormalization", "i scale", ["n", "mean", "deviation"], axis=1)], "n", 32, 17),
]


@pytest.mark.parametrize(("nodes", "last", "width", "opset"), UNREAD)
@pytest.mark.parametrize("as_output", [False, True])
def test_a_second_output_that_nothing_reads(
    tmp_path: Path, nodes: list[NodeProto], last: str, width: int, opset: int, *, as_output: bool
) -> None:
    """Not even where it is an output of the file beside the logits."""
    outputs = ["z", nodes[0].output[1]] if as_output else ["z"]
    scale = {"scale": np.ones((2, 4, 4), np.float32)}
    path = linear(tmp_path / "net.onnx", behind(nodes, last), outputs, opset=opset, **constants(width), **scale)
    network = load(path)
    np.testing.assert_allclose(logits_of(network, X), runtime(path, X)[0], rtol=1e-4, atol=1e-5)
    assert same_to_the_runtime(network, X)


REFUSED: list[tuple[list[NodeProto], str, str]] = [
    ([node("Dropout", "i half yes", ["d"])], "it is in training mode", "model.eval()"),
    ([node("Dropout", "i  yes", ["d", "mask"])], "it is in training mode", "model.eval()"),
    ([node("Dropout", "i", ["e", "mask"]), node("Where", "mask e none", ["d"])],
     "an output other than its first is used", ""),
    ([node("MaxPool", "i", ["m", "places"], kernel_shape=[2, 2]), node("Cast", "places", ["d"], to=1)],
     "an output other than its first is used", ""),
    ([node("BatchNormalization", "i c c c c", ["d", "m", "v"], training_mode=1)],
     "it is in training mode, so a row's output depends on the other rows of its batch", "inference"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "why", "do"), REFUSED)
def test_what_is_read_or_drops_is_said(tmp_path: Path, nodes: list[NodeProto], why: str, do: str) -> None:
    two = {"c": np.ones(2, np.float32)}
    path = linear(tmp_path / "net.onnx", behind(nodes, "d"), ["z"], opset=17, **constants(32), **two)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert caught.value.code == "model-unsupported-operator"
    assert caught.value.problems[0].why == why
    assert do in caught.value.problems[0].do


def test_a_training_mode_that_is_an_input_can_be_held(tmp_path: Path) -> None:
    nodes = behind([node("Dropout", "i half training", ["d"])], "d")
    path = linear(tmp_path / "net.onnx", nodes, ["z"], **constants(32))
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("training", onnx.TensorProto.BOOL, []))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as caught:
        load(path)
    assert any("training" in problem.where + problem.why for problem in caught.value.problems)
    assert load(path, fixed={"training": np.array(False)}).depth == 2
    with pytest.raises(ModelError) as caught:
        load(path, fixed={"training": np.array(True)})
    assert caught.value.problems[0].why == "it is in training mode"
