"""A model in a newer operator set computes the same and is called the same."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, helper

from onnxbound.errors import ModelError
from onnxbound.graph.newer_opset import raised
from tests.nets import model_of

RANDOM = np.random.default_rng(0)


def old() -> ModelProto:
    """Opset 9 and a version of the format in which initializers are inputs too."""
    weights = {"w": np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32), "b": np.zeros(4, np.float32)}
    nodes = [
        helper.make_node("Clip", ["x"], ["c"], min=-1.0, max=1.0),
        helper.make_node("Gemm", ["c", "w", "b"], ["g"], transB=1),
        helper.make_node("Softmax", ["g"], ["logits"], axis=1),
    ]
    model = model_of(nodes, weights, ["N", 6], opset=9)
    model.ir_version, model.producer_name, model.doc_string = 3, "somebody", "said"
    model.metadata_props.add(key="classes", value="four")
    for name, values in weights.items():
        model.graph.input.append(helper.make_tensor_value_info(name, 1, values.shape))
    return model


def test_the_same_net(tmp_path: Path) -> None:
    before, after = old(), raised(old(), 21)
    onnx.checker.check_model(after, full_check=True)
    assert after.opset_import[0].version == 21
    assert after.ir_version == 10
    assert [value.name for value in after.graph.input] == ["x"]
    assert after.graph.input[0] == before.graph.input[0]
    assert (after.producer_name, after.doc_string) == ("somebody", "said")
    assert list(after.metadata_props) == list(before.metadata_props)
    x = RANDOM.normal(size=(5, 6)).astype(np.float32)
    found = [
        onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for m in (before, after)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_one_that_is_new_enough_is_left_alone() -> None:
    model = old()
    assert raised(model, 8) is model


def test_an_operator_that_cannot_be_converted() -> None:
    model = old()
    model.graph.node[2].op_type = "Nonsense"
    with pytest.raises(ModelError, match="cannot be converted to opset 21"):
        raised(model, 21)
