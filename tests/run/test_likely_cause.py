"""Of a trained net whose rows are given wrongly, the mistake is named; of rows that are right, nothing is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.run.device import CPU
from onnxbound.run.likely_cause import Cause, likely_cause
from onnxbound.run.logits import Logits
from onnxbound.words import percent
from tests.cli.command import onnxbound
from tests.nets import write_model

FIXTURES = Path(__file__).parents[2] / "fixtures"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
RIGHT = Preprocessing(1 / 255, MEAN, STD, "nhwc")
Arrays = tuple[Network, np.ndarray, np.ndarray]


def cause(network: Network, data: Any, how: Preprocessing, **options: Any) -> Cause | None:
    rows = open_rows(data, network, how, **options)
    logits = Logits(network, CPU, 1)
    predicted = np.concatenate([logits.run(batch.inputs).argmax(axis=1) for batch in rows.batches(256)])
    return likely_cause(network, rows, CPU, 1, predicted != rows.labels)


def of_fixture(model: str, data: str, rows: int) -> Arrays:
    with np.load(FIXTURES / "data" / f"{data}.npz") as stored:
        return load(FIXTURES / f"{model}.onnx"), stored["x_train"][:rows], stored["y_train"][:rows].astype(np.int64)


@pytest.fixture(scope="module")
def cifar() -> Arrays:
    return of_fixture("cifar10_cnn", "cifar10", 300)


@pytest.fixture(scope="module")
def digits() -> Arrays:
    return of_fixture("mnist_logistic", "mnist", 400)


@pytest.mark.parametrize(
    ("change", "how", "parameters", "words"),
    [
        (None, Preprocessing(1 / 255, layout="nhwc"), {"mean": MEAN, "std": STD}, ""),
        (None, Preprocessing(1 / 255, MEAN, layout="nhwc"), {"std": STD}, ""),
        (None, Preprocessing(1 / 255, 0.5, 0.5, "nhwc"), {"mean": MEAN, "std": STD}, ""),
        (None, Preprocessing(1.0, MEAN, STD, "nhwc"), {"scale": 1 / 255}, ""),
        (None, Preprocessing(1.0, layout="nhwc"), {"scale": 1 / 255, "mean": MEAN, "std": STD}, ""),
        (lambda x: x / np.float32(255), RIGHT, {"scale": 1.0}, ""),
        (lambda x: x[..., ::-1], RIGHT, {}, "the channels in reverse order (BGR)"),
        (lambda x: x.swapaxes(1, 2), RIGHT, {}, "the images transposed"),
        (lambda x: 255 - x, RIGHT, {"scale": -1 / 255, "mean": (-0.5086, -0.5178, -0.5535)}, ""),
        (
            lambda x: x.reshape(len(x), -1),
            Preprocessing(1 / 255, 0.47, 0.25, "flat"),
            {},
            "the channels of each row stored last",
        ),
    ],
)
def test_rows_of_images(
    cifar: Arrays, change: Callable[[Any], Any] | None, how: Preprocessing, parameters: dict[str, Any], words: str
) -> None:
    network, x, y = cifar
    found = cause(network, (x if change is None else change(x), y), how)
    assert found is not None
    assert (found.parameters, found.words.endswith(words)) == (parameters, True)
    assert all(f"`{name}=" in found.words for name in parameters)
    assert found.before > 0.3
    assert found.after < 0.1


def test_two_mistakes_at_once(cifar: Arrays) -> None:
    network, x, y = cifar
    found = cause(network, (x.swapaxes(1, 2), y), Preprocessing(1.0, layout="nhwc"))
    assert found is not None
    assert found.parameters["scale"] == 1 / 255
    assert found.words.endswith(" and the images transposed")
    assert found.after < 0.1


@pytest.mark.parametrize("flat", [False, True])
def test_flat_rows_stored_column_by_column(digits: Arrays, flat: bool) -> None:
    network, x, y = digits
    turned = x.swapaxes(1, 2).reshape(len(x), -1) if flat else x.swapaxes(1, 2)
    found = cause(network, (turned, y), Preprocessing(1 / 255, layout="flat"))
    assert found is not None
    assert found.words == "the images transposed"
    assert found.after < 0.1


def test_the_words_say_what_is_estimated_and_from_how_much(digits: Arrays) -> None:
    network, x, y = digits
    how = Preprocessing(1 / 255, 0.5, 0.5, "flat")
    found = cause(network, (x, y), how)
    wrong = open_rows((x, y), network, how)
    error = np.mean(Logits(network, CPU, 1).run(next(wrong.batches(400)).inputs).argmax(axis=1) != y)
    assert found is not None
    assert str(found) == (
        "with `mean=0.0` and `std=1.0` the net errs on about 0 % of the rows"
        f" instead of {percent(error)}, judging by a trial on 400 rows"
    )


def behind_one_more_output(folder: Path, size: int) -> tuple[Network, np.ndarray, np.ndarray]:
    """A linear classifier whose class 0 never occurs, rows, and the classes that it gives them."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(6, size)).astype(np.float32)
    weight[0] = 0
    nodes = [helper.make_node("Gemm", ["x", "w"], ["logits"], transB=1)]
    network = load(write_model(folder / "n.onnx", nodes, {"w": weight}, ["N", size]))
    x = random.normal(size=(400, size)).astype(np.float32)
    logits = x @ weight.T
    return network, x, logits[:, 1:].argmax(axis=1) + 1


def test_labels_that_start_elsewhere(tmp_path: Path) -> None:
    network, x, classes = behind_one_more_output(tmp_path, 12)
    for start in (0, 2):
        found = cause(network, (x, classes - 1 + start), Preprocessing(), labels_start=start)
        assert found is not None
        assert found.parameters == {"labels_start": start - 1}
        assert f"`labels_start={start - 1}`" in found.words
    assert cause(network, (x, classes - 1), Preprocessing(), labels_start=-1) is None


def test_no_start_is_proposed_at_which_labels_would_be_out_of_range(cifar: Arrays) -> None:
    network, x, y = cifar
    found = cause(network, (x, (y + 1) % 10), RIGHT)
    assert found is not None
    assert (found.words, found.parameters) == ("the classes in another order (that of training)", {})
    assert found.after < 0.1


@pytest.mark.parametrize("swapped", [2, 10])
def test_classes_in_another_order(cifar: Arrays, swapped: int) -> None:
    network, x, y = cifar
    order = np.arange(10)
    order[:swapped] = order[:swapped][::-1]
    found = cause(network, (x, order[y]), RIGHT)
    said = "" if found is None else found.words
    assert said == ("" if swapped == 2 else "the classes in another order (that of training)")


@pytest.mark.parametrize("model", ["cnn", "cnn_init", "cnn_epoch1", "cnn_epoch4", "cnn_epoch16", "alexnet", "resnet"])
@pytest.mark.parametrize("rows", [10, 37, 600])
def test_nothing_is_said_of_rows_that_are_right(model: str, rows: int) -> None:
    """Nets without an error, with half of the rows wrong, and untrained ones that err as guessing does."""
    network, x, y = of_fixture(f"cifar10_{model}", "cifar10", rows)
    assert cause(network, (x, y), RIGHT) is None


def test_nothing_is_said_of_labels_without_a_pattern(cifar: Arrays) -> None:
    network, x, _ = cifar
    for seed in range(5):
        labels = np.random.default_rng(seed).integers(0, 10, len(x))
        assert cause(network, (x, labels), RIGHT) is None


def test_a_net_that_takes_integers(tmp_path: Path) -> None:
    from onnx import TensorProto

    weight = np.random.default_rng(1).normal(size=(4, 27 * 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["logits"], transB=1),
    ]
    path = write_model(tmp_path / "n.onnx", nodes, {"w": weight - weight.mean(axis=1, keepdims=True)}, ["N", 9, 3, 3],
                       input_type=TensorProto.UINT8)  # fmt: skip
    network = load(path)
    x = np.random.default_rng(2).integers(0, 256, (300, 9, 3, 3), np.uint8)
    y = (x.reshape(300, -1) @ (weight - weight.mean(axis=1, keepdims=True)).T).argmax(axis=1)
    assert cause(network, (x, y), Preprocessing()) is None
    found = cause(network, (x[..., ::-1], y), Preprocessing())
    assert found is not None
    assert found.words == "the channels in reverse order (BGR)"


def test_large_nets_try_few_rows(cifar: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x, y = cifar
    run, rows = Logits.run, []
    monkeypatch.setattr(Logits, "run", lambda self, inputs: (rows.append(len(inputs)), run(self, inputs))[1])
    monkeypatch.setattr("onnxbound.run.likely_cause._PRODUCTS", 0.0)
    found = cause(network, (x, y), Preprocessing(1.0, layout="nhwc"))
    assert found is not None
    assert found.parameters == {"scale": 1 / 255, "mean": MEAN, "std": STD}
    assert max(rows[-8:]) <= 8


def test_rows_are_read_in_pieces(cifar: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x, y = cifar
    wrong = Preprocessing(1 / 255, layout="nhwc")
    whole = cause(network, (x, y), wrong)
    monkeypatch.setattr("onnxbound.run.likely_cause._ENTRIES", 10 * 3072)
    assert cause(network, (x, y), wrong) == whole


def test_it_stands_in_the_report_though_the_net_is_far_from_chance(tmp_path: Path, cifar: Arrays) -> None:
    _, x, y = cifar
    np.savez(tmp_path / "d.npz", x=x[..., ::-1], y=y)
    words = "--layout nhwc --scale 1/255 --mean 0.4914,0.4822,0.4465 --std 0.2471,0.2435,0.2616 --measured 2 --probes 1"
    model = FIXTURES / "cifar10_cnn.onnx"
    outcome = onnxbound("analyze", model, "--data", tmp_path / "d.npz", *words.split(), "--pairs", "output", "--json")
    (warning,) = [text for text in json.loads(outcome.stdout)["warnings"] if "training:" in text]
    assert "not those of training: with the channels in reverse order (BGR) the net errs on about" in warning


def test_rows_that_tie_are_wrong_whatever_is_tried(tmp_path: Path) -> None:
    """A dead net ties on every row; the class that is listed first is no better guess than none."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"])]
    network = load(write_model(tmp_path / "net.onnx", nodes, {"w": np.zeros((4, 3), np.float32)}, ["N", 4]))
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    rows = open_rows((x, np.zeros(40, np.int64)), network, Preprocessing())
    assert likely_cause(network, rows, CPU, 1, np.ones(40, bool)) is None
