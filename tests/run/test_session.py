"""What onnxruntime refuses reaches the user with a code."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from onnxbound.errors import DeviceError, ModelError
from onnxbound.graph.load import load
from onnxbound.run.device import CPU
from onnxbound.run.session import open_session, with_outputs
from tests.nets import random_mlp


def test_opset_that_the_runtime_does_not_take(tmp_path: Path) -> None:
    model = onnx.load(random_mlp(tmp_path / "net.onnx", [3, 2]))
    model.opset_import[0].version = 999
    with pytest.raises(ModelError, match="the model uses opset 999") as caught:
        open_session(model, tmp_path, CPU, 1)
    assert (caught.value.code, caught.value.exit_code) == ("model-opset", 3)


def test_format_version_that_the_runtime_does_not_take_is_lowered(tmp_path: Path) -> None:
    model = onnx.load(random_mlp(tmp_path / "net.onnx", [3, 2]))
    model.ir_version = 999
    assert open_session(model, tmp_path, CPU, 1).get_outputs()[0].name == "logits"


def test_any_other_refusal_is_a_runtime_error(tmp_path: Path) -> None:
    model = onnx.load(random_mlp(tmp_path / "net.onnx", [3, 2]))
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(DeviceError, match="cannot load the model") as caught:
        open_session(model, tmp_path, CPU, 1)
    assert (caught.value.code, caught.value.exit_code) == ("device-runtime", 5)
    assert "NoSuchOperator" in caught.value.problems[0].why


def test_provider_that_is_left_out_is_an_error(tmp_path: Path) -> None:
    model = onnx.load(random_mlp(tmp_path / "net.onnx", [3, 2]))
    elsewhere = replace(CPU, name="xnnpack", providers=(("XnnpackExecutionProvider", {}), *CPU.providers))
    with pytest.warns(UserWarning, match="Xnnpack"), pytest.raises(DeviceError) as caught:
        open_session(model, tmp_path, elsewhere, 1)
    assert caught.value.code == "device-unavailable"


def test_only_the_named_outputs_are_left(tmp_path: Path) -> None:
    network = load(random_mlp(tmp_path / "net.onnx", [3, 4, 2]))
    assert [value.name for value in with_outputs(network, ["x1", "logits", "x1"]).graph.output] == ["x1", "logits"]
    assert [value.name for value in network.model.graph.output] == ["logits"]
