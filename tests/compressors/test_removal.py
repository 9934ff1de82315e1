"""Units that go: which belong together, what that does to the file, and that the others make up for them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper

from onnxbound.compressors.channels import Channels
from onnxbound.compressors.removal import Removal
from onnxbound.compressors.rounder import Rounder
from onnxbound.data.open import open_rows
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.graph.newer_opset import raised
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from tests.nets import model_of, write_model
from tests.oracle.models import fixtures, public_models

CPU = resolve_device("cpu")


def weights(seed: int) -> dict[str, np.ndarray]:
    """A stem, a residual branch through a depthwise convolution, another one, both concatenated, and a dense end."""
    random = np.random.default_rng(seed)
    shapes = {
        "w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 8, 1, 1), "wd": (8, 1, 3, 3), "bd": (8,), "w3": (6, 8, 1, 1),
        "b3": (6,), "scale": (14,), "shift": (14,), "mean": (14,), "w4": (126, 20), "b4": (20,), "w5": (5, 20),
    }  # fmt: skip
    found = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return {**found, "variance": np.ones(14, np.float32), "flat": np.array([-1, 126], np.int64)}


NODES: list[NodeProto] = [
    helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], strides=[2, 2]),
    helper.make_node("Relu", ["c1"], ["r1"]),
    helper.make_node("Conv", ["r1", "w2"], ["c2"]),
    helper.make_node("Conv", ["c2", "wd", "bd"], ["d"], group=8, pads=[1, 1, 1, 1]),
    helper.make_node("Add", ["d", "r1"], ["sum"]),
    helper.make_node("Relu", ["sum"], ["r2"]),
    helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"]),
    helper.make_node("Concat", ["r2", "c3"], ["both"], axis=1),
    helper.make_node("BatchNormalization", ["both", "scale", "shift", "mean", "variance"], ["n"]),
    helper.make_node("Relu", ["n"], ["r3"]),
    helper.make_node("Reshape", ["r3", "flat"], ["f"]),
    helper.make_node("MatMul", ["f", "w4"], ["m"]),
    helper.make_node("Add", ["m", "b4"], ["h"]),
    helper.make_node("Relu", ["h"], ["r4"]),
    helper.make_node("Gemm", ["r4", "w5"], ["logits"], transB=1),
]


def net_of(path: Path, values: Mapping[str, np.ndarray]) -> Network:
    return load(write_model(path, NODES, dict(values), ["N", 3, 6, 6]))


def removal_of(network: Network, folder: Path, count: int = 400) -> tuple[Removal, np.ndarray]:
    rows = np.random.default_rng(1).normal(size=(count, *network.input_shape)).astype(np.float32)
    opened = open_rows((rows, np.arange(count) % network.classes), network)
    return Removal(Rounder(network, (), opened, CPU, 1, 0), dict.fromkeys(range(1, 9), 1.0), folder), rows


def test_what_belongs_together(tmp_path: Path) -> None:
    """The residual sum ties three convolutions; inputs and logits stay."""
    network = net_of(tmp_path / "net.onnx", weights(0))
    channels = Channels(network.model, "logits")
    stem, branch, depthwise = (
        next(s.numbers for s in channels.slices if s.tensor == name and s.written) for name in ("w1", "w2", "wd")
    )
    assert np.array_equal(stem, depthwise)
    assert np.array_equal(branch, depthwise)
    dense = channels.reads("w4")
    assert dense is not None
    assert np.array_equal(dense[: 8 * 9 : 9], stem)
    assert channels.free.size == 8 + 6 + 20


def test_units_that_say_nothing_go_and_nothing_changes(tmp_path: Path) -> None:
    values = weights(0)
    values["b4"][[3, 7]], values["w4"][:, [3, 7]] = -1.0, 0.0  # never active
    values["w5"][:, 11] = 0.0  # never read
    values["w3"][2], values["b3"][2], values["scale"][10], values["shift"][10] = 0.0, 0.0, 1.0, -9.0
    network = net_of(tmp_path / "net.onnx", values)
    removal, rows = removal_of(network, tmp_path)
    narrower = removal.narrower(0)
    assert narrower is not None
    assert [layer.operator.weight.shape[0] for layer in narrower.network.layers] == [8, 8, 8, 5, 17, 5]
    found = [Logits(net, CPU, 1).run(rows) for net in (network, narrower.network)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-4 * np.abs(found[0]).max())
    assert removal.narrower(0) is None


def test_units_that_others_can_stand_for(tmp_path: Path) -> None:
    """A doubled unit goes at once, and the other one does the work of both."""
    values = weights(0)
    values["w4"][:, 4], values["b4"][4] = values["w4"][:, 9], values["b4"][9]
    network = net_of(tmp_path / "net.onnx", values)
    removal, rows = removal_of(network, tmp_path, 3000)
    narrower = removal.narrower(0.04)
    assert narrower is not None
    (dense,) = [layer for layer in narrower.network.layers if layer.weight_name == "w4"]
    assert dense.operator.weight.shape == (19, 126)
    values["w5"][:, 4] = 0.0
    without = net_of(tmp_path / "without.onnx", values)
    before, after, cut = (Logits(net, CPU, 1).run(rows) for net in (network, narrower.network, without))
    assert np.linalg.norm(before - after) < 0.1 * np.linalg.norm(before - cut)


@pytest.mark.parametrize("model", fixtures() + public_models(), ids=lambda model: model.name)
def test_narrower_files_are_whole(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Valid, with the same inputs and outputs, and smaller."""
    network = load(model.path)
    removal, rows = removal_of(network, tmp_path)
    narrower = removal.narrower(0.1)
    if narrower is None:  # one has a single layer, and nodes compute the other's BatchNorm
        assert model.name in ("mnist_logistic", "cifar10_cnn_init")
        return
    written, original = onnx.load(narrower.network.path), onnx.load(model.path)
    onnx.checker.check_model(written, full_check=True)
    assert list(written.graph.output) == list(original.graph.output)
    assert [value.name for value in written.graph.input] == [value.name for value in original.graph.input]
    raised(written, 21)
    assert narrower.network.path.stat().st_size < model.path.stat().st_size
    assert narrower.network.batch == network.batch
    assert Logits(narrower.network, CPU, 1).run(rows).shape == (len(rows), network.classes)


def test_what_is_not_understood_stays(tmp_path: Path) -> None:
    """A Softmax between two layers is read channel by channel by nobody here."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gemm", ["x", "w1"], ["h"], transB=1),
        helper.make_node("Softmax", ["h"], ["s"], axis=1),
        helper.make_node("Gemm", ["s", "w2"], ["logits"], transB=1),
    ]
    constants = {
        "w1": random.normal(size=(7, 4)).astype(np.float32),
        "w2": random.normal(size=(3, 7)).astype(np.float32),
    }
    assert not Channels(model_of(nodes, constants, ["N", 4]), "logits").free.size


def test_what_layers_meet_is_not_measured_twice(tmp_path: Path) -> None:
    """What the last layers of the way met while weights were restored is what they meet in the file."""
    removal, _ = removal_of(net_of(tmp_path / "net.onnx", weights(0)), tmp_path)
    narrower = removal.narrower(0.1)
    assert narrower is not None
    again = Rounder(narrower.network, (), narrower.rows, CPU, 1, 0).calibration.original
    assert narrower.calibration.original.keys() == again.keys()
    for index, met in again.items():
        found = narrower.calibration.original[index]
        np.testing.assert_allclose(found, met, rtol=1e-4, atol=1e-4 * np.abs(met).max())
