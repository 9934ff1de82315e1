"""Two verifiers that share no line: they agree on certificates, on forgeries, and on the vectors of the format page."""

import importlib.util
import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest

import onnxbound
from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.verify import verify
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import NetworkCode, decode, encode
from onnxbound.codec.words_said import architecture_in_words
from onnxbound.errors import OnnxboundError
from onnxbound.run.device import CPU
from tests.certificates.conftest import Case, rewrite
from tests.certificates.forging import data_of
from tests.codec.test_network_code import logits, on_lattice, rounded, rows_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def second() -> ModuleType:
    spec = importlib.util.spec_from_file_location("second", ROOT / "docs" / "verify_certificate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_imports_nothing_of_ours() -> None:
    text = (ROOT / "docs" / "verify_certificate.py").read_text()
    found = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    assert found <= {
        "argparse", "bisect", "decimal", "fractions", "hashlib", "itertools", "json", "math", "numpy", "pathlib", "stat",
        "sys", "zipfile",
    }  # fmt: skip


def test_it_verifies_what_the_first_verifies(case: Case, second: ModuleType) -> None:
    words = second.verify(case / "compressed", case / "train.npz")
    assert case.verify("compressed").statement in words
    with pytest.raises(second.Declined, match="prior"):
        second.verify(case / "prior", case / "train.npz")


def spoil_code(folder: Path, place: int) -> None:
    content = bytearray((folder / "code.bin").read_bytes())
    content[place] ^= 4
    (folder / "code.bin").write_bytes(bytes(content))


def spoil_bound(folder: Path, factor: float) -> None:
    path = folder / "certificate.json"
    document = read_canonical(path.read_bytes())
    path.write_bytes(canonical_json(document | {"bound": round(document["bound"] * factor, 6)}))


SPOILERS: dict[str, Callable[[Path], object]] = {
    "version": lambda folder: spoil_code(folder, 0),
    "head": lambda folder: spoil_code(folder, 1),
    "middle": lambda folder: spoil_code(folder, 20),
    "end": lambda folder: spoil_code(folder, -1),
    "longer": lambda folder: (folder / "code.bin").write_bytes((folder / "code.bin").read_bytes() + b"\0"),
    "smaller bound": lambda folder: spoil_bound(folder, 0.99),
    "larger bound": lambda folder: spoil_bound(folder, 1.01),
    "fewer errors": lambda folder: rewrite(folder, errors=3),
    "more rows": lambda folder: rewrite(folder, rows=20_000),
    "fewer bits": lambda folder: rewrite(folder, bits=80),
    "another entry": lambda folder: rewrite(folder, train_error=0.1),
    "another delta": lambda folder: rewrite(folder, delta=0.2),
    "another file": lambda folder: (folder / "notes.txt").write_text("x"),
    "a missing file": lambda folder: (folder / "decoded.onnx").unlink(),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_they_refuse_the_same(case: Case, second: ModuleType, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(case / "compressed", tmp_path / "c"))
    SPOILERS[name](folder)
    with pytest.raises(second.Refused):
        second.verify(folder, case / "train.npz")
    with pytest.raises(OnnxboundError):
        verify(folder, data_of(case), CPU, 1)


def test_they_refuse_other_rows(case: Case, second: ModuleType, tmp_path: Path) -> None:
    rows = np.load(case / "train.npz")
    for change in ({"y": (rows["y"] + 1) % 4}, {"x": rows["x"] * 2}, {"images": rows["x"]}, {"x": rows["x"][:, :9]}):
        np.savez(tmp_path / "rows.npz", **({"x": rows["x"], "y": rows["y"]} | change))
        with pytest.raises(second.Refused):
            second.verify(case / "compressed", tmp_path / "rows.npz")


@pytest.mark.parametrize("name", ["cifar10_resnet", "certified/mnist_small", "zoo/models/torch_prelu_ts17"])
def test_it_decodes_and_evaluates_alike(second: ModuleType, name: str) -> None:
    """Architecture in words, every tensor bit by bit, and logits to float32's digits; of products too."""
    if name == "cifar10_resnet":
        code = on_lattice(name, 1.0)
    else:
        found = describe(onnxbound.load(f"fixtures/{name}.onnx"))
        code = NetworkCode(found.architecture, tuple(rounded(values, 1.0) for values in found.tensors.values()))
    data = encode(code)
    code = decode(data)
    preprocessing, nodes, shapes = second.read_code(data)
    assert preprocessing == (
        code.preprocessing.scale, code.preprocessing.mean, code.preprocessing.std, code.preprocessing.layout,
    )  # fmt: skip
    assert second.architecture_in_words(nodes, shapes[0]) == architecture_in_words(code.architecture)
    tensors = code.tensors()
    for hole in code.architecture.holes:
        np.testing.assert_array_equal(nodes[hole.node].tensors[hole.attribute], tensors[hole.name])
    rows = rows_for(code)
    expected = logits(code, rows)
    np.testing.assert_allclose(
        second.logits_of(nodes, shapes, rows), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )
    assert onnxruntime.__version__


@pytest.mark.parametrize(
    ("errors", "rows", "bits", "delta"),
    [(0, 59, 0, "0.05"), (840, 60_000, 5800, "0.05"), (0, 1000, 64, "0.01"), (37, 2000, 512, "0.05")],
)
def test_bounds_in_rational_arithmetic(second: ModuleType, errors: int, rows: int, bits: int, delta: str) -> None:
    """The decimal bound is the smallest of six digits whose tail is small enough, exactly."""
    bound = float(error_bound(errors, rows, bits, Decimal(delta)))
    second.require_bound(errors, rows, bits, Fraction(delta), bound)
    for other in (bound * (1 - 1e-4), bound * (1 + 1e-4)):
        with pytest.raises(second.Refused):
            second.require_bound(errors, rows, bits, Fraction(delta), float(f"{other:.6g}"))
