"""A skeleton holds an architecture and nothing else: whatever could carry weights is refused or falls away."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import onnxbound
from onnxbound.codec.describe import describe
from onnxbound.codec.skeleton import LARGEST_COUNT, Malformed, Skeleton, canonical, read_skeleton
from tests.nets import random_mlp

FIXTURES = Path("fixtures")


@pytest.fixture
def skeleton() -> Skeleton:
    return describe(onnxbound.load(FIXTURES / "cifar10_cnn.onnx")).skeleton


def changed(skeleton: Skeleton) -> ModelProto:
    model = ModelProto()
    model.CopyFrom(skeleton.model)
    return model


def refused(model: ModelProto, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read_skeleton(model.SerializeToString(deterministic=True))


def test_the_same_architecture_has_the_same_skeleton(tmp_path: Path) -> None:
    """Trained or not, folded or not, whatever the names: the same bytes."""
    names = ("cifar10_cnn", "cifar10_cnn_init", "cifar10_cnn_shuffled")
    assert len({describe(onnxbound.load(FIXTURES / f"{name}.onnx")).skeleton.to_bytes() for name in names}) == 1
    nets = [random_mlp(tmp_path / f"{seed}.onnx", (6, 5, 4), seed=seed) for seed in (1, 2)]
    first, second = (describe(onnxbound.load(path)).skeleton.to_bytes() for path in nets)
    assert first == second


def test_how_a_file_keeps_its_weights_is_no_part_of_it(tmp_path: Path) -> None:
    model = onnx.load(random_mlp(tmp_path / "net.onnx", (6, 5, 4)))
    straight = describe(onnxbound.load(tmp_path / "net.onnx"))
    for node in model.graph.node:
        if node.op_type == "Gemm":
            (weight,) = (t for t in model.graph.initializer if t.name == node.input[1])
            weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight).T.copy(), weight.name))
            del node.attribute[:]
    onnx.save(model, tmp_path / "turned.onnx")
    turned = describe(onnxbound.load(tmp_path / "turned.onnx"))
    assert turned.skeleton.to_bytes() == straight.skeleton.to_bytes()
    for name, values in straight.tensors.items():
        np.testing.assert_array_equal(turned.tensors[name], values)


def test_floats_have_no_place_in_it(skeleton: Skeleton) -> None:
    """Weights as constants, as attributes, or as a constant of another type."""
    hidden = np.ones(skeleton.holes[1].shape, np.float32)
    model = changed(skeleton)
    model.graph.initializer.append(numpy_helper.from_array(hidden, skeleton.holes[1].name))
    refused(model, "not a short vector of integers")
    model = changed(skeleton)
    model.graph.node[0].attribute.append(helper.make_attribute("alpha", 0.5))
    refused(model, "attribute 'alpha'")
    model = changed(skeleton)
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value_float=1.0))
    model.graph.node[1].input[1] = "w"
    refused(model, "no Constant")


def test_words_have_no_place_in_it(skeleton: Skeleton) -> None:
    """Names, documentation and metadata could carry any number of bits."""
    for spoil in (
        lambda m: setattr(m, "doc_string", "x"),
        lambda m: setattr(m, "producer_name", "x"),
        lambda m: setattr(m.graph, "name", "x"),
        lambda m: setattr(m.graph.node[0], "name", "x"),
        lambda m: setattr(m.graph.node[0], "doc_string", "x"),
        lambda m: m.metadata_props.add(key="k", value="v"),
        lambda m: setattr(m, "model_version", 3),
        lambda m: m.graph.value_info.add(name="x"),
        lambda m: m.opset_import.add(domain="other", version=1),
        lambda m: m.graph.node.append(helper.make_node("Relu", ["input"], ["unused"])),
    ):
        model = changed(skeleton)
        spoil(model)
        refused(model, "canonical|last node|contains no")
    renamed = changed(skeleton)
    renamed.graph.input[0].name = renamed.graph.node[0].input[0] = "x"
    refused(renamed, "canonical")
    assert canonical(renamed).to_bytes() == skeleton.to_bytes()


def test_unknown_fields_have_no_place_in_it(skeleton: Skeleton) -> None:
    """Bytes that a reader of protocol buffers skips."""
    with pytest.raises(Malformed, match="canonical"):
        read_skeleton(skeleton.to_bytes() + b"\xfa\x3e\x03abc")


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 100, b"onnx"])
def test_no_model(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_skeleton(data)


def test_more_numbers_than_a_code_may_have(skeleton: Skeleton) -> None:
    """A hole of a thousand million numbers is refused before anything is made for it."""
    model = changed(skeleton)
    for dims, why in (((1 << 15, 1 << 15), f"{LARGEST_COUNT:,}"), ((0, 3), "below 1"), ((-1, 3), "below 1")):
        model.graph.input[1].CopyFrom(helper.make_tensor_value_info(model.graph.input[1].name, 1, dims))
        with pytest.raises(Malformed, match=why):
            canonical(model)


def test_structure(skeleton: Skeleton) -> None:
    """Outputs, inputs and order are what they must be."""
    for spoil, why in (
        (lambda m: m.graph.output.add(name="second"), "one output"),
        (lambda m: m.graph.node[0].input.__setitem__(0, "nothing"), "before it is written"),
        (lambda m: m.graph.node[1].output.__setitem__(0, m.graph.node[0].output[0]), "twice|before it is written"),
        (lambda m: setattr(m.graph.node[0], "op_type", "Softmax"), "contains no Softmax"),
        (lambda m: setattr(m.graph.node[0], "domain", "com.microsoft"), "contains no"),
        (lambda m: m.graph.input[0].type.tensor_type.__setattr__("elem_type", TensorProto.DOUBLE), "float32"),
    ):
        model = changed(skeleton)
        spoil(model)
        with pytest.raises(Malformed, match=why):
            canonical(model)


def test_long_integers_carry_nothing(skeleton: Skeleton) -> None:
    model = changed(skeleton)
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    node.attribute.append(helper.make_attribute("pads", [1] * 65))
    assert onnx.helper.get_attribute_value(node.attribute[-1]) == [1] * 65
    with pytest.raises(Malformed, match="65 integers"):
        canonical(model)
