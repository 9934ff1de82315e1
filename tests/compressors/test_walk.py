"""A network run from stop to stop computes what it computes at once, and every node once."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxbound import Method, Request, compress, open_rows
from onnxbound.compressors import smallest
from onnxbound.compressors import walk as module
from onnxbound.compressors.sites import sites
from onnxbound.compressors.walk import Walk
from onnxbound.graph.load import load
from onnxbound.run import batched
from onnxbound.run.device import resolve_device
from tests.nets import write_model

CPU = resolve_device("cpu")
RANDOM = np.random.default_rng(0)
SHAPES = {"w1": (6, 4, 3, 3), "b1": (6,), "w2": (6, 6, 1, 1), "w3": (6, 6, 3, 3), "w4": (150, 5), "w5": (5, 5)}
STOPS = {1: "x", 2: "r1", 3: "r1", 4: "f", 5: "r4", 6: "logits"}


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


@pytest.fixture(params=["N", 1])
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two branches read one tensor, a third way leads around both; the shape of a row is computed from the rows."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"]),
        helper.make_node("Conv", ["r1", "w3"], ["c3"], pads=[1, 1, 1, 1]),
        helper.make_node("Sum", ["c2", "c3", "r1"], ["s"]),
        helper.make_node("Flatten", ["s"], ["f"]),
        helper.make_node("MatMul", ["f", "w4"], ["m4"]),
        helper.make_node("Relu", ["m4"], ["r4"]),
        helper.make_node("MatMul", ["r4", "w5"], ["m5"]),
        helper.make_node("Add", ["m5", "m4"], ["logits"]),
    ]
    weights = {name: normal(*shape) for name, shape in SHAPES.items()}
    return write_model(tmp_path / "net.onnx", nodes, weights, [request.param, 4, 5, 5])


def expected(path: Path, weights: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors of a file that has these weights, by the reference evaluator."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    names = sorted(set(STOPS.values()) - {"x"})
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    found = [ReferenceEvaluator(model).run(None, {"x": row[None]}) for row in rows]
    return {
        "x": rows,
        **{name: np.concatenate(each) for name, each in zip(names, zip(*found, strict=True), strict=True)},
    }


@pytest.mark.parametrize("kept", [1 << 29, 0])
def test_weights_change_on_the_way(net: Path, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stop sees the weights before it as they are by then, whether what lies before it is kept or run again."""
    monkeypatch.setattr(module, "_KEPT", kept)
    network, rows = load(net), normal(110, 4, 5, 5)
    found = sites(network)
    walk = Walk(network, found, STOPS, rows, CPU, 1)
    for _ in range(2):
        weights: dict[str, np.ndarray] = {}
        walk.begin()
        for key, name in STOPS.items():
            met = np.concatenate(list(walk.to(key, weights)))
            wanted = expected(net, weights, rows)[name]
            np.testing.assert_allclose(met, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
            if key in found:
                weights |= {found[key].weight: normal(*SHAPES[found[key].weight])}


def test_every_node_runs_once(net: Path) -> None:
    """A stop may be passed, and nothing behind the last one is run."""
    network = load(net)
    walk = Walk(network, sites(network), STOPS, normal(10, 4, 5, 5), CPU, 1)
    nodes = [node.output[0] for part in walk._parts for node in part.graph.node]
    assert sorted(nodes) == sorted(["c1", "r1", "c2", "c3", "s", "f", "m4", "r4", "m5", "logits"])
    (met,) = walk.to(4, {})
    assert met.shape == (10, 150)
    assert walk._kept == [{"x"}, {"r1"}, {"r1"}, {"f"}, {"r4", "m4"}, {"logits"}]


def test_large_tensors_go_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load(
        write_model(
            tmp_path / "n.onnx", [helper.make_node("MatMul", ["x", "w"], ["logits"])], {"w": normal(50, 3)}, ["N", 50]
        )
    )
    assert batched.rows_at_once(network) == 100
    monkeypatch.setattr(batched, "_LARGEST", 4 * 50 * 7)
    assert batched.rows_at_once(network) == 7
    assert [len(part) for part in Walk(network, {}, {1: "logits"}, normal(16, 50), CPU, 1).to(1, {})] == [7, 7, 2]


def test_a_large_net_is_measured_at_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as the work allows, never fewer than some; what is said of accuracy is said of those."""
    node = helper.make_node("MatMul", ["x", "w"], ["logits"])
    network = load(write_model(tmp_path / "n.onnx", [node], {"w": normal(50, 3)}, ["N", 50]))
    rows = open_rows((normal(900, 50), RANDOM.integers(3, size=900)), network)
    found = compress(network, rows, tmp_path / "all.onnx", Request(Method("int8-weights")), force=True)
    assert (found.rows, found.output.rows) == (900, 900)
    assert not any("rows were used" in said for said in found.warnings)
    for work, count in ((150 * 700, 700), (1, 300)):
        monkeypatch.setattr(smallest, "_WORK", work)
        found = compress(network, rows, tmp_path / f"{count}.onnx", Request(Method("int8-weights")), force=True)
        assert (found.rows, found.output.rows) == (count, count)
        assert f"{count} of 900 rows were used: one row takes 150 multiply-adds" in found.warnings
