"""Rows together where the file takes one: as they come out alone, or alone."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, helper, numpy_helper

from onnxbound.graph.free_batch import free_batch
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.run.batched import Batched
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from tests.nets import model_of, random_mlp

CPU = resolve_device("cpu")
ROWS = np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)


class Counted:
    """A session that remembers how many rows it was given at a time."""

    def __init__(self, model: ModelProto, seen: list[int]) -> None:
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        self._seen = seen

    def run(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        self._seen.append(len(feeds["x"]))
        return self._session.run(names, feeds)


def of_one_row(folder: Path) -> Network:
    return load(random_mlp(folder / "net.onnx", [6, 8, 3], batch=1))


def test_rows_go_together(tmp_path: Path) -> None:
    network = of_one_row(tmp_path)
    assert network.batch == 1
    alone, together = (Logits(network, CPU, 1, together=each).run(ROWS) for each in (False, True))
    np.testing.assert_allclose(together, alone, atol=1e-6)
    seen: list[int] = []
    runner = Batched(network, network.model, lambda model: Counted(model, seen), together=True)
    for _ in range(2):
        runner.run([network.output], ROWS, {})
    assert seen == [4, 1, 1, 1, 1] + 2 * [32, 32, 6]
    seen.clear()
    runner.run([network.output], ROWS[:1], {})
    assert seen == [1]


MEAN = [
    helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
    helper.make_node("Sub", ["x", "m"], ["c"]),
    helper.make_node("Add", ["c", "x"], ["logits"]),
]
ONE = [
    helper.make_node("Concat", ["one", "six"], ["shape"], axis=0),
    helper.make_node("Reshape", ["x", "shape"], ["logits"]),
]


@pytest.mark.parametrize("nodes", [MEAN, ONE], ids=["mean", "one"])
def test_rows_that_cannot_go_together_go_alone(nodes: list[onnx.NodeProto], tmp_path: Path) -> None:
    """Where they influence each other, and where onnxruntime takes only one."""
    network, seen = of_one_row(tmp_path), []
    model = model_of(nodes, {"one": np.array([1]), "six": np.array([6])}, [1, 6])
    runner = Batched(network, model, lambda message: Counted(message, seen), together=True)
    (found,) = runner.run(["logits"], ROWS[:5], {})
    np.testing.assert_array_equal(found, ROWS[:5])
    assert seen[-5:] == [1] * 5


def test_shapes_are_open_too() -> None:
    """A shape in an initializer, and one in a node; another length of 1 stays."""
    nodes = [
        helper.make_node("Reshape", ["x", "grid"], ["g"]),
        helper.make_node("Constant", [], ["flat"], value=numpy_helper.from_array(np.array([1, -1]))),
        helper.make_node("Reshape", ["g", "flat"], ["f"]),
        helper.make_node("Mul", ["f", "scale"], ["logits"]),
    ]
    constants = {"grid": np.array([1, 2, 3]), "scale": np.full((1, 6), 2.0, np.float32)}
    model = model_of(nodes, constants, [1, 6])
    before = model.SerializeToString()
    session = onnxruntime.InferenceSession(free_batch(model, 1).SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": ROWS})[0], 2 * ROWS)
    assert model.SerializeToString() == before
    assert onnx.load_from_string(before).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
