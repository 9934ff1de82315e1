"""Files that are not models, and models that are not classifiers of the kind that is read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from onnxbound.errors import ModelError
from onnxbound.graph.load import load
from tests.nets import random_mlp, write_model

W = np.ones((4, 3), np.float32)
SQUARE = np.eye(4, dtype=np.float32)


def node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(), output.split(), **attributes)


def refused(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load(path)
    assert caught.value.exit_code == 3
    return caught.value


def _absent(folder: Path) -> Path:
    return folder / "absent.onnx"


def _folder(folder: Path) -> Path:
    return folder


def _written(content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "net.onnx"
        path.write_bytes(content)
        return path

    return make


def _truncated(folder: Path) -> Path:
    path = random_mlp(folder / "net.onnx", [6, 5, 4])
    path.write_bytes(path.read_bytes()[:-7])
    return path


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (_absent, "model-not-found", "does not exist"),
        (_folder, "model-not-found", "is not a file"),
        (_written(b""), "model-invalid", "it is empty"),
        (_written(b"\x00" * 100), "model-invalid", "it is"),
        (_written(b"PK\x03\x04 a zip file"), "model-invalid", "it is"),
        (_written(b"hello world, this is text"), "model-invalid", "it is"),
        (_written(np.random.default_rng(0).bytes(4096)), "model-invalid", "it is"),
        (_truncated, "model-invalid", "it is truncated"),
    ],
)
def test_what_is_not_a_model(tmp_path: Path, make: Callable[[Path], Path], code: str, message: str) -> None:
    error = refused(make(tmp_path))
    assert error.code == code
    assert message in error.message


Constants = dict[str, NDArray[Any]]


@pytest.mark.parametrize(
    ("nodes", "constants", "shape", "code", "message"),
    [
        (
            [node("MatMul", "x w", "logits"), node("Relu", "missing", "y"), node("Add", "y logits", "z")],
            {"w": W}, ["N", 4], "model-graph-invalid", "undefined tensors 'missing'",
        ),
        (
            [node("Add", "x b", "a"), node("Add", "a x", "b"), node("MatMul", "a w", "logits")],
            {"w": W}, ["N", 4], "model-graph-invalid", "a cycle",
        ),
        (
            [node("MatMul", "x w", "logits"), node("MatMul", "x w", "logits")],
            {"w": W}, ["N", 4], "model-graph-invalid", "defines tensors twice",
        ),
        ([node("Relu", "x", "logits")], {}, ["N", 4], "model-no-layers", "no weighted layer"),
        ([node("MatMul", "x w", "logits")], {"w": W}, ["N", 2, 4], "model-not-classifier", "a row of shape (2, 3)"),
        ([node("MatMul", "x w", "logits")], {"w": W}, ["N", None], "model-inputs", "shape of a row of the input"),
        ([node("MatMul", "x w", "logits")], {"w": W}, [4], "model-inputs", "shape of a row of the input"),
        ([node("Identity", "w", "logits")], {"w": W}, ["N", 4], "model-not-classifier", "No output"),
    ],
)  # fmt: skip
def test_graphs_that_are_refused(
    tmp_path: Path, nodes: Sequence[NodeProto], constants: Constants, shape: list[Any], code: str, message: str
) -> None:
    error = refused(write_model(tmp_path / "net.onnx", nodes, constants, shape))
    assert error.code == code
    assert message in error.message + " ".join(problem.why for problem in error.problems)


def test_opset_6_is_refused(tmp_path: Path) -> None:
    error = refused(write_model(tmp_path / "net.onnx", [node("MatMul", "x w", "logits")], {"w": W}, ["N", 4], opset=6))
    assert error.code == "model-opset"
    assert "opset 6" in error.message


def test_two_inputs_of_which_one_is_not_of_the_rows_are_refused_and_both_named(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "net.onnx", [node("Add", "x z", "a"), node("MatMul", "a w", "logits")], {"w": W}, ["N", 4]
    )
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4]))
    path.write_bytes(model.SerializeToString())
    error = refused(path)
    assert error.code == "model-inputs"
    assert [problem.where for problem in error.problems] == ["input 'x'", "input 'z'"]
    assert all("`fixed`" in problem.do for problem in error.problems)


def test_an_input_of_strings_is_refused(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "net.onnx", [node("MatMul", "x w", "logits")], {"w": W}, ["N", 4], input_type=TensorProto.STRING
    )
    assert refused(path).code == "model-unsupported-type"


def test_every_unsupported_operator_is_listed_with_its_place(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", "x w", "x1"),
        helper.make_node("Cos", ["x1"], ["t"], name="squash"),
        node("MatMul", "t w", "x2"),
        helper.make_node("Sin", ["x2"], ["e"], name="erf"),
        node("Mul", "x2 e", "g"),
        node("MatMul", "g w", "x3"),
        helper.make_node("Cos", ["x3"], ["logits"], name="squash_again"),
    ]
    error = refused(write_model(tmp_path / "net.onnx", nodes, {"w": SQUARE}, ["N", 4]))
    assert error.code == "model-unsupported-operator"
    assert "Cos (2)" in error.message
    assert "Sin (1)" in error.message
    places = [problem.where for problem in error.problems]
    assert places == ["graph:node/1 (Cos 'squash')", "graph:node/3 (Sin 'erf')", "graph:node/6 (Cos 'squash_again')"]


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([node("MatMul", "x w", "a"), node("Sin", "a", "s"), node("MatMul", "s w", "logits")], "know"),
        (
            [node("MatMul", "x w", "a"), node("QuantizeLinear", "a one", "s"), node("MatMul", "s w", "logits")],
            "by one DequantizeLinear",
        ),
        ([node("MatMul", "x w", "a"), node("LSTM", "a w w", "s"), node("MatMul", "s w", "logits")], "recurrent"),
        ([node("MatMul", "x w", "a"), node("Gemm", "a x", "logits", transB=1)], ""),
        ([node("MatMul", "x w", "a"), node("Gemm", "a w", "logits", transA=1)], ""),
    ],
)
def test_what_is_not_read_or_not_weighted(tmp_path: Path, nodes: list[NodeProto], why: str) -> None:
    error = refused(write_model(tmp_path / "net.onnx", nodes, {"w": SQUARE, "one": np.float32(1)}, ["N", 4]))
    assert error.code == "model-unsupported-operator"
    assert len(error.problems) == 1
    assert why in error.problems[0].why
