"""Lengths that a file leaves open are said by the caller, and nothing else."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxbound import Preprocessing, Settings, analyze, load, open_rows
from onnxbound.errors import ModelError
from onnxbound.linear.programme import Programme
from onnxbound.stability.batches import batches_within
from onnxbound.stability.work import Arrangement, MeasuringWork


def open_net(path: Path, row: tuple[str | int, ...] = (3, "H", "W")) -> Path:
    """Conv, Relu, GlobalAveragePool, Gemm over images of any size."""
    rng = np.random.default_rng(5)
    weights = {"k": (4, 3, 3, 3), "w": (4, 2)}
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "open",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *row])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [
            numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_shape_is_fixed_and_reported(tmp_path: Path) -> None:
    network = load(open_net(tmp_path / "net.onnx"), input_shape=(3, 6, 10))
    assert network.input_shape == (3, 6, 10)
    assert network.layers[0].output_shape == (4, 6, 10)
    assert network.notes[0] == "fixed the axes of unknown length for this run: rows of x (3, 6, 10)"
    assert network.reading.to_json()["input_shape"] == {"x": [3, 6, 10]}


def test_the_same_numbers_as_of_a_file_that_states_its_lengths(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((12, 3, 6, 10)).astype(np.float32), rng.integers(0, 2, 12)
    stated = load(open_net(tmp_path / "stated.onnx", (3, 6, 10)))
    said = load(open_net(tmp_path / "open.onnx"), input_shape={"x": (3, 6, 10)})
    one, other = (
        analyze(net, open_rows((x, y), net, Preprocessing()), Settings(engine="numpy")) for net in (stated, said)
    )
    np.testing.assert_array_equal(one.samples["interlayer_cushion"], other.samples["interlayer_cushion"])
    assert one.bounds == other.bounds


def test_a_function_is_asked_with_what_the_file_says(tmp_path: Path) -> None:
    asked = []

    def shape(name: str, dims: tuple[int | None, ...]) -> tuple[int, ...]:
        asked.append((name, dims))
        return 3, 8, 8

    assert load(open_net(tmp_path / "net.onnx"), input_shape=shape).input_shape == (3, 8, 8)
    assert asked == [("x", (3, None, None))]


def test_a_worker_reads_the_file_alike(tmp_path: Path) -> None:
    network = load(open_net(tmp_path / "net.onnx"), input_shape=(3, 6, 10))
    programme = Programme("affine", 1, False, True, 0.1, False, 0)
    batches = batches_within(2 << 30, network, programme)
    work = MeasuringWork.build(network, Arrangement(programme, "numpy", "cpu", 1, batches))
    assert work.recipe().build().network.input_shape == (3, 6, 10)


@pytest.mark.parametrize(
    ("row", "shape", "says"),
    [
        ((3, "H", "W"), (1, 6, 10), "rows of (3, any, any), not (1, 6, 10)"),
        ((3, "H", "W"), (3, 6), "rows of (3, any, any), not (3, 6)"),
        ((3, "H", "W"), (3, 0, 6), "rows of (3, any, any), not (3, 0, 6)"),
        ((3, 6, 10), (3, 6, 11), "rows of (3, 6, 10), not (3, 6, 11)"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(
    tmp_path: Path, row: tuple[str | int, ...], shape: tuple[int, ...], says: str
) -> None:
    with pytest.raises(ModelError) as refused:
        load(open_net(tmp_path / "net.onnx", row), input_shape=shape)
    assert refused.value.code == "model-inputs"
    assert refused.value.problems[0].why == says


def test_a_shape_that_the_file_states_itself_may_be_said_too(tmp_path: Path) -> None:
    network = load(open_net(tmp_path / "net.onnx", (3, 6, 10)), input_shape=(3, 6, 10))
    assert network.reading.lengths == {}


def test_without_a_shape_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="shape of a row of the input is not known") as refused:
        load(open_net(tmp_path / "net.onnx"))
    assert "`input_shape`" in refused.value.problems[0].do
