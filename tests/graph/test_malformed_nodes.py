"""Nodes that are not what their operators are defined to be, as mutated files have them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper

from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from tests.graph.test_untrusted import plain

FLATTEN = helper.make_node("Flatten", ["x"], ["y"], axis=1)


def _of_another_type(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("axis", "one"))


def _without_type(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].type = AttributeProto.UNDEFINED


def _of_a_function(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].ref_attr_name = "axis"


def _twice(model: ModelProto) -> None:
    model.graph.node[0].attribute.append(model.graph.node[0].attribute[0])


def _too_many_inputs(model: ModelProto) -> None:
    model.graph.node[0].input.append("x")


def _without_inputs(model: ModelProto) -> None:
    del model.graph.node[0].input[:]


def _nameless_input(model: ModelProto) -> None:
    model.graph.node[0].input[0] = ""


def _without_outputs(model: ModelProto) -> None:
    del model.graph.node[0].output[:]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_of_another_type, "of the type STRING, not INT"),
        (_without_type, "of the type UNDEFINED"),
        (_of_a_function, "refers to an attribute of a function"),
        (_twice, "given twice"),
        (_too_many_inputs, "2 inputs and 1 outputs"),
        (_without_inputs, "0 inputs"),
        (_nameless_input, "1 inputs"),
        (_without_outputs, "0 outputs"),
    ],
)
def test_malformed_nodes(tmp_path: Path, change: Callable[[ModelProto], None], why: str) -> None:
    model = plain(FLATTEN)
    change(model)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "net.onnx")
    assert caught.value.code == "model-graph-invalid"
    assert why in caught.value.problems[0].why
    assert "Flatten" in caught.value.problems[0].where


@pytest.mark.parametrize("place", ["node", "graph", "model", "domain", "key", "value", "type"])
def test_words_that_are_no_text(tmp_path: Path, place: str) -> None:
    model = plain(helper.make_node("Relu", ["x"], ["y"], name="node_one"))
    model.graph.name, model.doc_string, model.domain = "graph_one", "model_one", "domain_one"
    model.graph.value_info.add().name = "type_one"
    helper.set_model_props(model, {"key_one": "value_one"})
    content, path = model.SerializeToString(), tmp_path / "net.onnx"
    path.write_bytes(content)
    assert load(path).depth
    path.write_bytes(content.replace(f"{place}_one".encode(), place.encode() + b"\xff\xfe\xfd\xfc"))
    with pytest.raises(ModelError, match="is not valid UTF-8") as caught:
        load(path)
    assert caught.value.code == "model-invalid"


def test_a_fixed_batch_that_no_memory_holds(tmp_path: Path) -> None:
    model = plain()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1 << 40
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="fixed batch of 1,099,511,627,776 rows") as caught:
        load(tmp_path / "net.onnx")
    assert caught.value.code == "model-too-large"


def test_an_input_of_a_type_that_is_not_defined(tmp_path: Path) -> None:
    model = plain()
    content = model.SerializeToString()
    kind = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4]).SerializeToString()
    broken = kind.replace(b"\x08\x01", b"\x08\x63", 1)
    (tmp_path / "net.onnx").write_bytes(content.replace(kind, broken))
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "net.onnx")
    assert caught.value.code in ("model-unsupported-type", "model-invalid")
