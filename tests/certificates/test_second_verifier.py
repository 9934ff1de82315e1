"""Two verifiers that share no line: they agree on certificates, on forgeries, and on the vectors of the format page."""

import ast
import json
import os
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
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.words_said import architecture_in_words, preprocessing_in_words
from onnxbound.errors import OnnxboundError
from onnxbound.run.device import CPU
from tests.certificates.conftest import Case, rewrite
from tests.certificates.forging import Copy, data_of, entries
from tests.codec.test_network_code import logits, on_lattice, rounded, rows_for

ROOT = Path(__file__).parents[2]


def test_it_imports_nothing_of_ours() -> None:
    text = (ROOT / "docs" / "verify_certificate.py").read_text()
    found = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    assert found <= {
        "argparse", "bisect", "decimal", "fractions", "functools", "hashlib", "itertools", "json", "math", "numpy",
        "pathlib",
        "stat", "sys", "zipfile",
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
    preprocessing, nodes, shapes, mirrored = second.read_code(data)
    assert preprocessing == (
        code.preprocessing.scale, code.preprocessing.mean, code.preprocessing.std, code.preprocessing.layout,
    )  # fmt: skip
    assert second.architecture_in_words(nodes, shapes[0], mirrored) == architecture_in_words(code.architecture)
    tensors = code.tensors()
    for hole in code.architecture.holes:
        np.testing.assert_array_equal(nodes[hole.node].tensors[hole.attribute], tensors[hole.name])
    rows = rows_for(code)
    expected = logits(code, rows)
    np.testing.assert_allclose(
        second.logits_of(nodes, shapes, rows), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
    )
    assert onnxruntime.__version__


def vectors(first: str) -> list[list[str]]:
    """The rows of the page's table whose head begins so."""
    page = (ROOT / "docs" / "certificate-format.md").read_text().split(f"| {first}", 1)[1]
    lines = page.split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("row", vectors("k | m"))
def test_bounds_of_the_page_in_rational_arithmetic(second: ModuleType, row: list[str]) -> None:
    """The decimal bound is the smallest of six digits whose tail is small enough, exactly."""
    errors, rows, bits = (int(cell.replace(",", "")) for cell in row[:3])
    delta, bound = row[3:]
    assert error_bound(errors, rows, bits, Decimal(delta)) == Decimal(bound)
    second.require_bound(errors, rows, bits, Fraction(delta), float(bound))
    for other in (float(bound) * (1 - 1e-4), float(bound) * (1 + 1e-4), float(bound) + 1e-9):
        with pytest.raises(second.Refused):
            second.require_bound(errors, rows, bits, Fraction(delta), float(f"{other:.10g}"))


@pytest.mark.parametrize("row", vectors("code.bin"))
def test_codes_of_the_page(second: ModuleType, row: list[str]) -> None:
    data, first = bytes.fromhex(row[0]), [float(number) for number in row[3].split()]
    code = decode(data)
    assert [preprocessing_in_words(code.preprocessing), architecture_in_words(code.architecture)] == row[1:3]
    assert code.tensors()[code.architecture.holes[0].name].ravel().tolist() == first
    preprocessing, nodes, shapes, mirrored = second.read_code(data)
    words = second.architecture_in_words(nodes, shapes[0], mirrored)
    assert [second.preprocessing_in_words(preprocessing), words] == row[1:3]
    assert nodes[0].tensors["weight"].ravel().tolist() == first


@pytest.mark.parametrize("row", vectors("refused code.bin"))
def test_codes_that_the_page_refuses(second: ModuleType, row: list[str]) -> None:
    with pytest.raises(second.Refused):
        second.read_code(bytes.fromhex(row[0]))
    with pytest.raises(Malformed):
        decode(bytes.fromhex(row[0]))


@pytest.mark.parametrize("row", vectors("merged into"))
def test_folders_that_the_page_refuses(case: Case, second: ModuleType, copy: Copy, row: list[str]) -> None:
    folder = copy("compressed")
    entries(folder, **json.loads(row[0]))
    with pytest.raises((second.Refused, second.Declined)):
        second.verify(folder, case / "train.npz")
    with pytest.raises(OnnxboundError):
        verify(folder, data_of(case), CPU, 1)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("022793e70c33da619240", "a Conv reads a single number"),
        ("0283aa15c2b5817d9af7398a00", "the windows hold too many numbers"),
        ("0283aa15c2c87ee7456008afa0", "the windows hold too many numbers"),
        ("023569f643aa096e3de81e00", "the windows hold too many numbers"),
        ("023bc00bbc4e7600", "activations are joined whose shapes do not fit"),
    ],
)
def test_codes_that_are_too_heavy_or_impossible(second: ModuleType, code: str, why: str) -> None:
    """A few bytes ask for gigabytes, or for an axis that is not there: said before anything is computed, by both."""
    with pytest.raises(second.Refused, match=why):
        second.read_code(bytes.fromhex(code))
    with pytest.raises(Malformed):
        decode(bytes.fromhex(code))


def test_work_and_memory_are_known_before_rows_are_evaluated(
    second: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, nodes, shapes, mirrored = second.read_code(bytes.fromhex(vectors("code.bin")[1][0]))
    numbers, work = second.memory_and_work(nodes, shapes)
    rows = np.zeros((1000, 1, 4, 4), np.float32)
    given = (nodes, shapes, mirrored, (1.0, (0.0,), (1.0,), None), rows, np.zeros(1000, np.int64))
    monkeypatch.setattr(second, "MOST_WORK", 1000 * work)
    alone = second.count_errors(*given)
    monkeypatch.setattr(second, "MOST_NUMBERS", numbers)
    assert second.count_errors(*given) == alone
    for limit, value in (("MOST_WORK", 1000 * work - 1), ("MOST_NUMBERS", numbers - 1)):
        with monkeypatch.context() as patch:
            patch.setattr(second, limit, value)
            with pytest.raises(second.Declined, match="products"):
                second.count_errors(*given)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


FILES: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("other"),
    "sparse": sparse,
    "nothing": lambda path: path.exists(),
    "no object": lambda path: path.write_bytes(b"[]"),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "no text": lambda path: path.write_bytes(b"\xff\x00"),
}


@pytest.mark.parametrize("name", ["certificate.json", "code.bin", "decoded.onnx"])
@pytest.mark.parametrize("what", FILES)
def test_what_is_no_file_of_a_certificate(case: Case, second: ModuleType, copy: Copy, name: str, what: str) -> None:
    path = copy("compressed") / name
    path.unlink()
    FILES[what](path)
    with pytest.raises(second.Refused):
        second.verify(path.parent, case / "train.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"reading": {"labels_start": False}}, {"\ud800": 1}, {"statement": "\ud800"}, {"statement": "\x1b[2J verifies"},
        {"code": None}, {"code": []}, {"bound": 1}, {"errors": True}, {"errors": 10**400},
        {"delta_ledger": [{"event": "the error of the network on the rows", "delta": 0}]},
    ],
)  # fmt: skip
def test_entries_are_compared_with_their_types(
    case: Case, second: ModuleType, copy: Copy, capsys: pytest.CaptureFixture[str], changes: dict[str, object]
) -> None:
    folder = copy("compressed")
    entries(folder, **changes)
    assert command_line(second, folder, "--data", case / "train.npz") == 1
    said = capsys.readouterr().out
    assert said.startswith("The certificate does not verify: ")
    assert "fails" not in said
    assert said.isascii()
    assert said.removesuffix("\n").isprintable()


def command_line(second: ModuleType, *arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["verify", *map(str, arguments)])
        return int(second.main())


def test_integer_files_are_left_to_the_first(case: Case, second: ModuleType, copy: Copy) -> None:
    folder = copy("compressed")
    (folder / "decoded_int4.onnx").write_bytes(b"junk")
    said = second.verify(folder, case / "train.npz")
    assert "decoded.onnx is the file that it names; onnxbound verify checks whether it computes the same" in said
    assert "decoded_int4.onnx is NOT checked here, but by onnxbound verify" in said
    with pytest.raises(OnnxboundError, match="decoded_int4"):
        verify(folder, data_of(case), CPU, 1)


def test_rows_that_are_none(case: Case, second: ModuleType, tmp_path: Path) -> None:
    rows, path = dict(np.load(case / "train.npz")), tmp_path / "rows.npz"
    not_finite = rows["x"].copy()
    not_finite[7, 3] = np.inf
    for change in (
        {"x": np.float32(1)}, {"y": np.int64(1)}, {"x": rows["x"][:0], "y": rows["y"][:0]}, {"x": not_finite},
        {"x": rows["x"].astype("U9")}, {"x": rows["x"] + 0j}, {"y": np.stack([rows["y"]] * 2)},
    ):  # fmt: skip
        np.savez(path, **(rows | change))
        with pytest.raises(second.Refused):
            second.verify(case / "compressed", path)
    np.savez_compressed(path, x=np.zeros((1 << 14, 1 + (1 << 14)), np.uint8), y=rows["y"])
    for content in (b"", b"junk", b"PK\5\6" + bytes(18), path.read_bytes(), (case / "train.npz").read_bytes()[:-99]):
        path.write_bytes(content)
        with pytest.raises(second.Refused, match=r"rows\.npz|usual name"):
            second.verify(case / "compressed", path)
    with pytest.raises(second.Refused, match="NaN"):
        second.prepared(not_finite, (None, (0.0,), (1.0,), None), not_finite.shape[1:])
    for other in (tmp_path, tmp_path / "none", case / "model.onnx"):
        with pytest.raises(second.Refused):
            second.verify(case / "compressed", other)


def test_delta_and_its_confidence(case: Case, second: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for text, confidence in (("0.05", "95"), ("0.1", "90"), ("1e-12", "99.9999999999"), ("1e-300", "99." + "9" * 298)):
        assert f"a confidence of {confidence} % " in second.sentence(100, second.delta_of(text), 0.5, False)
    for text in ("nan", "1/20", "inf", "-inf", "0", "1", "-0.05", "", "1e-9999", "1e9999", "0,05"):
        assert command_line(second, case / "compressed", "--data", case / "train.npz", f"--delta={text}") == 1
        assert f"does not verify: delta: {text!r} is no number between 0 and 1." in capsys.readouterr().out


def test_it_is_short_enough_to_be_read_in_an_evening() -> None:
    """Lines of code; comments, docstrings and empty lines are not counted."""
    source = (ROOT / "docs" / "verify_certificate.py").read_text()
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documented = [
        node.body[0] for node in ast.walk(ast.parse(source)) if isinstance(node, kinds) and ast.get_docstring(node)
    ]
    prose = {line for said in documented for line in range(said.lineno, (said.end_lineno or 0) + 1)}
    lines = [line.strip() for k, line in enumerate(source.splitlines(), 1) if k not in prose]
    assert sum(bool(line) and not line.startswith("#") for line in lines) < 1000
