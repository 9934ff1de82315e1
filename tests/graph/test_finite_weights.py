"""Weights that are not finite, or become so while they are read."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from tests.graph.two_layers import B1, NODES, W1, W2, save
from tests.nets import model_of


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800000, 0x7FA00000], ids=["NaN", "infinite", "signalling NaN"])
def test_weights_that_are_not_finite(tmp_path: Path, bits: int) -> None:
    weight = np.array(W2, np.float32)
    weight.view(np.uint32)[0, 1] = bits
    model = model_of(NODES, {"w1": W1, "b1": B1, "w2": weight}, ["N", 4])
    with pytest.raises(ModelError) as caught:
        load(save(model, tmp_path / "net.onnx")).require_finite_weights()
    assert caught.value.code == "model-weights-not-finite"
    assert [problem.why for problem in caught.value.problems] == ["NaN or infinite: 1 weight"]
    assert "second" in caught.value.problems[0].where


def test_weights_that_overflow_when_they_are_read_warn_of_nothing(tmp_path: Path) -> None:
    """A quantised weight beyond float32, and the root of a negative variance."""
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale"], ["w1"]),
        helper.make_node("Gemm", ["x", "w1"], ["z"], name="first"),
        helper.make_node("BatchNormalization", ["z", "one", "one", "one", "variance"], ["y"]),
        helper.make_node("Gemm", ["y", "w2"], ["logits"], name="second"),
    ]
    constants = {
        "q": np.full((4, 3), 100, np.int8),
        "scale": np.float32(3e38),
        "one": np.ones(3, np.float32),
        "variance": np.float32([-1, 1, 1]),
        "w2": np.ones((3, 2), np.float32),
    }
    network = load(save(model_of(nodes, constants, ["N", 4]), tmp_path / "net.onnx"))
    with pytest.raises(ModelError) as caught:
        network.require_finite_weights()
    assert caught.value.code == "model-weights-not-finite"
