"""Conventions of inputs and labels that trained nets come with."""

from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.settings import Settings
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.load import load
from tests.cli.command import failing, onnxbound
from tests.nets import random_mlp, write_model

ROWS, CLASSES = 40, 4
FEW = Settings(measured=4, probes=1, engine="numpy", threads=1)
RANDOM = np.random.default_rng(3)
IMAGES = RANDOM.integers(0, 256, (ROWS, 6, 5, 3), np.uint8)


def behind(*nodes: NodeProto, size: int) -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """A dense classifier behind the given nodes, whose last output is "flat"."""
    weight = RANDOM.normal(size=(CLASSES, size)).astype(np.float32)
    return [*nodes, helper.make_node("Gemm", ["flat", "w"], ["logits"], transB=1)], {"w": weight}


def require_own_labels(path: Path, data: Path, logits: np.ndarray, **options: object) -> None:
    """The net classifies every row as the given logits say, and so errs on none."""
    network = load(path)
    rows = open_rows(data, network, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(rows.labels, logits.argmax(axis=1))
    assert analyze(network, rows, FEW).data.train_error == 0


def test_bytes_that_are_normalised_in_the_graph(tmp_path: Path) -> None:
    """uint8 channels last, cast, divided, centred and turned to channels first by the graph itself."""
    mean = np.float32([0.5, 0.4, 0.3])
    nodes, constants = behind(
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "c255"], ["unit"]),
        helper.make_node("Sub", ["unit", "mean"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Flatten", ["nchw"], ["flat"]),
        size=90,
    )
    constants |= {"c255": np.float32(255), "mean": mean}
    path = write_model(tmp_path / "n.onnx", nodes, constants, ["N", 6, 5, 3], input_type=TensorProto.UINT8)
    flat = (IMAGES / np.float32(255) - mean).transpose(0, 3, 1, 2).reshape(ROWS, -1)
    logits = flat @ constants["w"].T
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=logits.argmax(axis=1))
    require_own_labels(path, tmp_path / "d.npz", logits)


def test_channels_last_in_the_file_and_first_in_the_model(tmp_path: Path) -> None:
    nodes, constants = behind(helper.make_node("Flatten", ["x"], ["flat"]), size=90)
    path = write_model(tmp_path / "n.onnx", nodes, constants, ["N", 3, 6, 5])
    logits = (IMAGES / 255).transpose(0, 3, 1, 2).reshape(ROWS, -1) @ constants["w"].T
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=logits.argmax(axis=1))
    require_own_labels(path, tmp_path / "d.npz", logits, preprocessing=Preprocessing(scale=1 / 255, layout="nhwc"))


def test_flattened_rows(tmp_path: Path) -> None:
    nodes, constants = behind(helper.make_node("Flatten", ["x"], ["flat"]), size=90)
    path = write_model(tmp_path / "n.onnx", nodes, constants, ["N", 3, 6, 5])
    x = RANDOM.normal(size=(ROWS, 90)).astype(np.float32)
    logits = x @ constants["w"].T
    np.savez(tmp_path / "d.npz", x=x, y=logits.argmax(axis=1))
    require_own_labels(path, tmp_path / "d.npz", logits, preprocessing=Preprocessing(layout="flat"))


def test_signals_of_one_dimension(tmp_path: Path) -> None:
    kernel = RANDOM.normal(size=(2, 1, 3)).astype(np.float32)
    nodes, constants = behind(
        helper.make_node("Conv", ["x", "k"], ["c"], kernel_shape=[3]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["flat"]),
        size=20,
    )
    path = write_model(tmp_path / "n.onnx", nodes, constants | {"k": kernel}, ["N", 1, 12])
    x = RANDOM.normal(size=(ROWS, 12)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
    hidden = np.maximum(np.einsum("npk,ck->ncp", windows, kernel[:, 0]), 0).reshape(ROWS, -1)
    logits = hidden @ constants["w"].T
    np.savez(tmp_path / "d.npz", x=x, y=logits.argmax(axis=1))
    require_own_labels(path, tmp_path / "d.npz", logits)


@pytest.mark.parametrize("kind", [np.float32, np.uint8, bool])
def test_one_hot_labels(tmp_path: Path, kind: type) -> None:
    network = load(random_mlp(tmp_path / "n.onnx", [6, 5, CLASSES]))
    labels = RANDOM.integers(0, CLASSES, ROWS)
    x = RANDOM.normal(size=(ROWS, 6)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.eye(CLASSES, dtype=kind)[labels])
    np.testing.assert_array_equal(open_rows(tmp_path / "d.npz", network).labels, labels)


def test_labels_that_start_at_one(tmp_path: Path) -> None:
    path = random_mlp(tmp_path / "n.onnx", [6, 5, CLASSES])
    labels = np.arange(ROWS) % CLASSES
    np.savez(tmp_path / "d.npz", x=RANDOM.normal(size=(ROWS, 6)).astype(np.float32), y=labels + 1)
    error = failing("analyze", path, "--data", tmp_path / "d.npz")
    assert error["problems"][0]["do"] == "if the labels start at 1: --labels-start 1"
    rows = open_rows(tmp_path / "d.npz", load(path), labels_start=1)
    np.testing.assert_array_equal(rows.labels, labels)
    outcome = onnxbound("analyze", path, "--data", tmp_path / "d.npz", "--labels-start", "1", "--measured", "4")
    assert outcome.code == 0


@pytest.mark.parametrize("first", [0, 1])
def test_one_output_more_than_classes(tmp_path: Path, first: int) -> None:
    """27 outputs for the 26 letters, where class 0 or class 26 never occurs: it is said, and nothing is refused."""
    network = load(random_mlp(tmp_path / "n.onnx", [6, 5, 27]))
    x = RANDOM.normal(size=(52, 6)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(52) % 26 + first)
    report = analyze(network, open_rows(tmp_path / "d.npz", network), FEW)
    assert report.data.classes == 27
    missing = 26 if first == 0 else 0
    assert f"the net has 27 outputs, and no row has the label {missing}" in report.warnings
