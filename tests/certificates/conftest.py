"""A small net that labels its own rows, and a certificate of each kind, made by the command line."""

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import onnxbound
from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.certificate import decimal_of
from onnxbound.certificates.evidence import Evidence, Opener
from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.statement import Disagreements, Statement
from onnxbound.certificates.task import Task
from onnxbound.certificates.verify import Verification, verify
from onnxbound.codec.describe import describe
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.run.device import CPU
from tests.cli.command import onnxbound as command
from tests.cli.command import write_rows
from tests.nets import random_mlp

ROOT = Path(__file__).parents[2]
SIZES = (10, 6, 4)
ROWS, PRIOR_ROWS = 12_000, 2000
NORMALISED = ("--scale", "1", "--mean", "0.25", "--std", "2")


@dataclass(frozen=True)
class Case:
    """Files of one classification task.

    Attributes:
        folder: model.onnx, prior.onnx, train.npz, test.npz, fresh.npz, and a folder per certificate.
    """

    folder: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def evidence(self, kind: str, **changes: Any) -> Evidence:
        """What verify needs for a kind of certificate."""
        of_original = {
            "model": onnxbound.load(self / "model.onnx"),
            "preprocessing": Preprocessing(1.0, (0.25,), (2.0,)),
        }
        data = {"data": self.opener("train.npz")}
        parts: dict[str, dict[str, Any]] = {
            "compressed": data,
            "original_unlabelled": data | of_original | {"unlabelled": self.opener("fresh.npz", labelled=False)},
            "holdout": of_original | {"holdout": self.opener("test.npz", role="test")},
            "prior": data | {"prior": onnxbound.load(self / "prior.onnx"), "prior_rows": PRIOR_ROWS},
        }
        return replace(Evidence(), **(parts[kind] | changes))

    def opener(self, name: str | Path, **options: Any) -> Opener:
        """A file of rows."""
        return lambda reader, preprocessing: open_rows(self / str(name), reader, preprocessing, **options)

    def verify(
        self, kind: str, folder: Path | None = None, evidence: Evidence | None = None, **changes: Any
    ) -> Verification:
        """Verify a certificate, or another folder as if it were one of that kind."""
        return verify(folder or self / kind, evidence or self.evidence(kind), CPU, **changes)


@pytest.fixture(scope="session")
def second() -> ModuleType:
    """The second verifier."""
    spec = importlib.util.spec_from_file_location("second", ROOT / "docs" / "verify_certificate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    data = (case / "model.onnx", "--data", case / "train.npz", *NORMALISED, "--effort", "2", "-q", "-o")
    asked = {
        "compressed": (*data, case / "compressed", "--holdout", case / "test.npz"),
        "original_unlabelled": (*data, case / "original_unlabelled", "--unlabelled", case / "fresh.npz"),
        "holdout": (case / "model.onnx", "--holdout", case / "test.npz", *NORMALISED, "-o", case / "holdout"),
        "prior": (*data, case / "prior", "--prior", case / "prior.onnx", "--prior-rows", PRIOR_ROWS),
    }
    for arguments in asked.values():
        outcome = command("certify", *arguments)
        assert outcome.code == 0, outcome.stderr
    return case


@pytest.fixture
def copy(case: Case, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of one certificate to spoil."""
    return lambda kind: Path(shutil.copytree(case / kind, tmp_path / kind, dirs_exist_ok=True))


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


def rewrite(folder: Path, **changes: Any) -> None:
    """A consistent rewrite of a document: what follows from other numbers is made to follow, the checksum too."""
    path = folder / "certificate.json"
    document = read_canonical(path.read_bytes()) | changes
    apart = document["disagreements"]
    commonest = round((1 - document["chance"]) * document["rows"])
    statement = Statement(
        object=document["object"],
        rows=document["rows"],
        errors=document["errors"],
        bits=document["bits"],
        delta=decimal_of(document["delta"]),
        classes=document["classes"],
        commonest=commonest,
        disagreements=None if apart is None else Disagreements(**apart),
    )
    follows = {"bound": float(statement.bound), "vacuous": statement.vacuous, "statement": statement.sentence()}
    path.write_bytes(canonical_json(document | follows))


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A net that labels its own 3,000 rows."""
    network = onnxbound.load(random_mlp(tmp_path / "net.onnx", (6, 5, 4)))
    x = np.random.default_rng(1).normal(size=(3000, 6)).astype(np.float32)
    single = network.cast(np.float32)
    labels = linearise(single, x, [single.output]).values[single.output].argmax(axis=1)
    rows = open_rows(write_rows(tmp_path / "rows.npz", x=x, y=labels), network)
    described = describe(network)
    outputs = Outputs(described.architecture, rows, CPU, None)
    right = np.ones(3000, np.bool_)
    logits = outputs.logits(described.tensors)
    return Task(network, described, outputs, logits, rows.labels, right, None, Preprocessing(), delta=Decimal("0.05"))
