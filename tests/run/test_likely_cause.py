"""Of a trained net whose rows are given wrongly, the right mistake is named; of an untrained one, none."""

import json
from pathlib import Path

import numpy as np
import pytest

from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.run.device import CPU
from onnxbound.run.forward import ForwardPass
from onnxbound.run.likely_cause import likely_cause

FIXTURES = Path(__file__).parents[2] / "fixtures"
CIFAR = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
RIGHT = Preprocessing(scale=1 / 255, mean=CIFAR[0], std=CIFAR[1], layout="nhwc")


def cause(network: Network, data: Path, preprocessing: Preprocessing) -> str:
    rows = open_rows(data, network, preprocessing)
    return likely_cause(network, rows, ForwardPass(network, CPU, 1, without_bias=False))


@pytest.fixture(scope="module")
def cifar() -> tuple[Network, np.ndarray, np.ndarray]:
    stored = np.load(FIXTURES / "data" / "cifar10.npz")
    return load(FIXTURES / "cifar10_cnn.onnx"), stored["x_train"][:300], stored["y_train"][:300]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (lambda y: y % 9 + 0 * y, None),
        (lambda y: np.where(y < 9, y + 1, 0), "with --labels-start 1 it errs on"),
        (lambda y: np.where(y > 0, y - 1, 9), "with --labels-start -1 it errs on"),
        (lambda y: 9 - y, "with the classes in another order"),
    ],
)
def test_labels(
    tmp_path: Path, cifar: tuple[Network, np.ndarray, np.ndarray], labels: object, said: str | None
) -> None:
    network, x, y = cifar
    np.savez(tmp_path / "d.npz", x=x, y=labels(y))  # type: ignore[operator]
    found = cause(network, tmp_path / "d.npz", RIGHT)
    assert found.startswith(said or "") if said else "none helps" in found


@pytest.mark.parametrize(
    ("change", "preprocessing", "said"),
    [
        (lambda x: x, Preprocessing(scale=1.0, layout="nhwc"), "--scale 1/255"),
        (lambda x: x / np.float32(255), Preprocessing(scale=1 / 255, layout="nhwc"), "--scale 1"),
        (lambda x: x[..., ::-1], RIGHT, "the channels in reverse order (BGR)"),
        (lambda x: x.swapaxes(1, 2), RIGHT, "the images transposed"),
        (lambda x: 255 - x, RIGHT, "light and dark exchanged"),
    ],
)
def test_rows(
    tmp_path: Path,
    cifar: tuple[Network, np.ndarray, np.ndarray],
    change: object,
    preprocessing: Preprocessing,
    said: str,
) -> None:
    network, x, y = cifar
    np.savez(tmp_path / "d.npz", x=change(x), y=y)  # type: ignore[operator]
    found = cause(network, tmp_path / "d.npz", preprocessing)
    assert said in found, found
    assert "it errs on" in found


def test_an_untrained_net_is_not_explained_away() -> None:
    network = load(FIXTURES / "cifar10_cnn_init.onnx")
    found = cause(network, FIXTURES / "data" / "cifar10.npz", RIGHT)
    assert found.endswith("and none helps")


def test_it_stands_in_the_report(tmp_path: Path, cifar: tuple[Network, np.ndarray, np.ndarray]) -> None:
    from tests.cli.command import onnxbound

    _, x, y = cifar
    np.savez(tmp_path / "d.npz", x=x, y=np.where(y < 9, y + 1, 0))
    words = "--layout nhwc --scale 1/255 --mean 0.4914,0.4822,0.4465 --std 0.2471,0.2435,0.2616 --measured 2 --probes 1"
    model = FIXTURES / "cifar10_cnn.onnx"
    outcome = onnxbound("analyze", model, "--data", tmp_path / "d.npz", *words.split(), "--pairs", "output", "--json")
    assert "; with --labels-start 1 it errs on" in json.loads(outcome.stdout)["warnings"][0]
