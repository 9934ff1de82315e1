"""A small net that labels its own rows, and a certificate of each kind, made by the command line."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import onnxbound
from onnxbound.certificates.evidence import Evidence, Opener
from onnxbound.certificates.verify import Verification, verify
from onnxbound.data.open import open_rows
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.run.device import CPU
from tests.cli.command import onnxbound as command
from tests.nets import random_mlp

SIZES = (10, 6, 4)
ROWS = 12_000
NORMALISED = ("--scale", "1", "--mean", "0.25", "--std", "2")


@dataclass(frozen=True)
class Case:
    """Files of one classification task.

    Attributes:
        folder: model.onnx, prior.onnx, train.npz, test.npz, fresh.npz, prior_rows.npy, and a folder per certificate.
    """

    folder: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def evidence(self, kind: str) -> Evidence:
        """What verify needs for a kind of certificate."""
        model, prior = onnxbound.load(self / "model.onnx"), onnxbound.load(self / "prior.onnx")
        return Evidence(
            data=self.opener("train.npz"),
            model=model,
            unlabelled=self.opener("fresh.npz", labelled=False) if kind == "original_unlabelled" else None,
            holdout=self.opener("test.npz"),
            prior=prior if kind == "prior" else None,
            prior_rows=np.load(self / "prior_rows.npy") if kind == "prior" else None,
        )

    def opener(self, name: str, *, labelled: bool = True) -> Opener:
        """A file of rows."""
        opened = partial(open_rows, self / name, labelled=labelled)
        return lambda network, preprocessing, limit, seed: opened(network, preprocessing, limit=limit, seed=seed)

    def verify(self, kind: str, folder: Path | None = None, **changes: int) -> Verification:
        """Verify a certificate, or another folder as if it were one of that kind."""
        return verify(folder or self / kind, self.evidence(kind), CPU, **changes)


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    case = Case(tmp_path_factory.mktemp("certify"))
    network = onnxbound.load(random_mlp(case / "model.onnx", SIZES, seed=1))
    random_mlp(case / "prior.onnx", SIZES, seed=1, biased=True)
    _perturbed(case / "prior.onnx")
    random = np.random.default_rng(7)
    for name, count in (("train", ROWS), ("test", 2000), ("fresh", 3000)):
        x = random.normal(size=(count, SIZES[0])).astype(np.float32)
        labels = _labels(network, (x - 0.25) / 2)
        wrong = random.random(count) < 0.01
        np.savez(case / f"{name}.npz", x=x, y=np.where(wrong, (labels + 1) % SIZES[-1], labels))
    np.save(case / "prior_rows.npy", np.arange(0, 2000, 2))
    data = (case / "model.onnx", "--data", case / "train.npz", *NORMALISED, "--effort", "2", "-q", "-o")
    asked = {
        "compressed": (*data, case / "compressed", "--holdout", case / "test.npz"),
        "original_unlabelled": (*data, case / "original_unlabelled", "--unlabelled", case / "fresh.npz"),
        "holdout": (case / "model.onnx", "--holdout", case / "test.npz", *NORMALISED, "-o", case / "holdout"),
        "prior": (*data, case / "prior", "--prior", case / "prior.onnx", "--prior-rows", case / "prior_rows.npy"),
        "charged": (*data, case / "charged", "--charge-skeleton"),
    }
    for arguments in asked.values():
        outcome = command("certify", *arguments)
        assert outcome.code == 0, outcome.stderr
    return case


def _labels(network: Network, rows: np.ndarray) -> np.ndarray:
    single = rows.astype(np.float32)
    return linearise(network.cast(np.float32), single, [network.output]).values[network.output].argmax(axis=1)


def _perturbed(path: Path) -> None:
    """Move every weight a little: a prior near the model."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    random = np.random.default_rng(5)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        moved = values + 0.1 * random.normal(size=values.shape).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    onnx.save(model, path)
