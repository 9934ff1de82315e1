"""The mirror image of a row: when it is taken, what it is worth, and that nobody takes it without paying for it."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import onnxbound
from onnxbound.certificates.canonical import read_canonical
from onnxbound.certificates.decoded import decoded
from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.network_code import NetworkCode, decode, encode
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.tensors import Levels
from onnxbound.operators.dense import Dense
from tests.certificates.forging import entries, with_code
from tests.cli.command import Outcome, failing
from tests.cli.command import onnxbound as command
from tests.nets import random_mlp, write_model

SHAPE, CLASSES, ROWS = (1, 4, 4), 3, 6000


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows whose label is that of their mirror image, and a net that is right about the mean of both only."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(5)
    half, lopsided = (random.normal(size=(CLASSES, *SHAPE)) for _ in range(2))
    symmetric, odd = half + half[..., ::-1], lopsided - lopsided[..., ::-1]
    weight = (symmetric + odd).reshape(CLASSES, -1).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["logits"], transB=1),
    ]
    write_model(folder / "net.onnx", nodes, {"w": weight}, ["N", *SHAPE])
    x = random.normal(size=(ROWS, *SHAPE)).astype(np.float32)
    np.savez(folder / "train.npz", x=x, y=(x.reshape(ROWS, -1) @ symmetric.reshape(CLASSES, -1).T).argmax(axis=1))
    for asked in ("auto", "none"):
        made = certified(folder, asked)
        assert made.code == 0, made.stderr
    return folder


def certified(folder: Path, asked: str) -> Outcome:
    data = ("--data", folder / "train.npz", "--effort", "1", "-q", "--json", "-o", folder / asked)
    return command("certify", folder / "net.onnx", "--symmetry", asked, *data)


def test_it_is_taken_where_the_net_errs_less(images: Path, second: ModuleType) -> None:
    """By itself, as the net is; it lowers the bound, and both verifiers accept what comes of it."""
    found = {}
    for asked in ("auto", "none"):
        outcome = command("verify", images / asked, "--data", images / "train.npz", "--json")
        found[asked] = outcome.json()
        assert found[asked]["statement"] in second.verify(images / asked, images / "train.npz")
    assert found["auto"]["bound"] < found["none"]["bound"] - 0.1
    assert "1x4x4 and its mirror image, " in found["auto"]["architecture"]
    assert "mirror" not in found["none"]["architecture"]


def test_the_decoded_file_computes_the_mean(images: Path) -> None:
    """In onnxruntime, row by row, against the net without the mirror image; and it is read as a net like any other."""
    code, x = decode((images / "auto" / "code.bin").read_bytes()), np.load(images / "train.npz")["x"][:50]
    alone = decoded(replace(code, architecture=replace(code.architecture, mirrored=False)))

    def logits(model: bytes, rows: np.ndarray) -> np.ndarray:
        return np.asarray(onnxruntime.InferenceSession(model).run(["logits"], {"input": rows})[0])

    expected = (logits(alone.to_bytes(), x) + logits(alone.to_bytes(), np.ascontiguousarray(x[..., ::-1]))) / 2
    path = images / "auto" / "decoded.onnx"
    np.testing.assert_allclose(logits(path.read_bytes(), x), expected, atol=1e-6)
    weights = [tensor.name for tensor in onnx.load(path).graph.initializer if tensor.name.startswith("weight")]
    assert len(weights) == len(set(weights)) == 1
    assert onnxbound.load(path).parameters == onnxbound.load(images / "net.onnx").parameters


@pytest.mark.parametrize(("asked", "taken"), [((), False), (("--symmetry", "mirror"), True)])
def test_a_statement_about_the_original_takes_it_only_if_asked(
    images: Path, tmp_path: Path, asked: tuple[str, ...], *, taken: bool
) -> None:
    fresh = np.random.default_rng(6).normal(size=(2000, *SHAPE)).astype(np.float32)
    np.savez(tmp_path / "fresh.npz", x=fresh)
    given = ("--data", images / "train.npz", "--unlabelled", tmp_path / "fresh.npz")
    made = command(
        "certify", images / "net.onnx", *given, *asked, "--effort", "1", "-q", "--json", "-o", tmp_path / "c"
    )
    assert ("and its mirror image" in made.json()["code"]["architecture"]) == taken
    assert command("verify", tmp_path / "c", *given, "--model", images / "net.onnx").code == 0


@pytest.mark.parametrize("asked", ["auto", "none"])
def test_a_delivered_file_that_sees_other_rows(images: Path, tmp_path: Path, asked: str) -> None:
    """A mirror image that the code does not name, or the other way round, its hash made right."""
    folder = Path(shutil.copytree(images / asked, tmp_path / "c"))
    other = decoded(turned(decode((folder / "code.bin").read_bytes()))).to_bytes()
    (folder / "decoded.onnx").write_bytes(other)
    said = read_canonical((folder / "certificate.json").read_bytes())["code"]
    entries(folder, code=said | {"decoded_sha256": hashlib.sha256(other).hexdigest()})
    assert failing("verify", folder, "--data", images / "train.npz")["code"] == "certificate-mismatch"


def test_a_code_that_leaves_it_out(images: Path, second: ModuleType, tmp_path: Path) -> None:
    """Everything is made right but the errors, of which there are more without it."""
    folder = Path(shutil.copytree(images / "auto", tmp_path / "c"))
    with_code(folder, turned(decode((folder / "code.bin").read_bytes())))
    assert "errors" in failing("verify", folder, "--data", images / "train.npz")["message"]
    with pytest.raises(second.Refused, match="errors"):
        second.verify(folder, images / "train.npz")


def turned(code: NetworkCode) -> NetworkCode:
    return replace(code, architecture=replace(code.architecture, mirrored=not code.architecture.mirrored))


def test_only_an_image_has_one() -> None:
    levels = np.ones((2, 3), np.int64)
    node = CodedNode(Dense(levels.astype(np.float32), None, None), (0,))
    with pytest.raises(Malformed, match="mirror image"):
        encode(NetworkCode(Architecture((3,), (node,), mirrored=True), (Levels(1.0, levels),)))


def test_what_it_does_not_go_with(images: Path, tmp_path: Path) -> None:
    net, rows = random_mlp(tmp_path / "flat.onnx", (16, 3)), images / "train.npz"
    where: Callable[[Path], tuple[str | Path, ...]] = lambda model: (model, "--data", rows, "-o", tmp_path / "c")  # noqa: E731
    flat = failing("certify", *where(net), "--layout", "flat", "--symmetry", "mirror")
    assert flat["message"] == (said := "--symmetry mirror needs rows that are images, and does not go with --prior.")
    prior = ("--prior", images / "auto" / "decoded.onnx", "--prior-rows", "10", "--symmetry", "mirror")
    assert failing("certify", *where(images / "net.onnx"), *prior)["message"] == said
    assert "must be auto, none or mirror" in failing("certify", *where(net), "--symmetry", "x")["message"]
