"""Every certificate verifies, and nothing that differs from it in one place does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnxruntime
import pytest

import onnxbound as onnxbound_package
from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.certificate import decimal_of
from onnxbound.cli.schemas import every_schema
from onnxbound.errors import DataError, OnnxboundError, VerificationError
from onnxbound.linear.linearisation import linearise
from onnxbound.stability.margin import margins
from tests.certificates.conftest import ROWS, Case
from tests.cli.command import failing, onnxbound

KINDS = ("compressed", "original_unlabelled", "holdout", "prior")


def document_of(folder: Path) -> dict[str, Any]:
    return read_canonical((folder / "certificate.json").read_bytes())


@pytest.fixture
def copy(case: Case, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of one certificate to spoil."""

    def make(kind: str) -> Path:
        return Path(shutil.copytree(case / kind, tmp_path / kind, dirs_exist_ok=True))

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_verifies(case: Case, kind: str) -> None:
    verified = case.verify(kind)
    document = document_of(case / kind)
    assert document["object"] == kind
    assert verified.errors <= document["errors"]
    assert document["vacuous"] == (document["bound"] >= document["chance"])
    assert not document["vacuous"] or kind == "original_unlabelled"
    assert document["bits"] == (8 * (case / kind / "code.bin").stat().st_size if kind != "holdout" else 0)
    bound = error_bound(document["errors"], document["rows"], document["bits"], decimal_of(document["delta"]))
    if kind != "original_unlabelled":
        assert document["bound"] == float(bound)


def test_the_command_line_agrees(case: Case) -> None:
    arguments = ("verify", case / "compressed", "--data", case / "train.npz")
    outcome = onnxbound(*arguments, "--json")
    assert outcome.code == 0
    jsonschema.validate(outcome.json(), every_schema()["onnxbound.verification/1"])
    for kind in KINDS:
        jsonschema.validate(document_of(case / kind), every_schema()["onnxbound.certificate/1"])
    assert outcome.json()["verified"] is True
    assert outcome.json()["statement"] in onnxbound(*arguments).stdout
    error = failing("verify", case / "compressed", "--data", case / "test.npz")
    assert (error["code"], error["exit_code"]) == ("certificate-mismatch", 1)
    error = failing("verify", case / "original_unlabelled", "--data", case / "train.npz")
    assert (error["code"], error["exit_code"]) == ("certificate-evidence", 1)
    error = failing("verify", case.folder, "--data", case / "train.npz")
    assert (error["code"], error["exit_code"]) == ("certificate-malformed", 1)


def test_counts_the_skeleton_when_it_is_charged(case: Case) -> None:
    plain, charged = document_of(case / "compressed"), document_of(case / "charged")
    assert charged["bits"] > plain["bits"] + 500
    assert any("skeleton" in text for text in plain["assumptions"])
    assert not any("skeleton" in text for text in charged["assumptions"])
    case.verify("compressed", case / "charged")


@pytest.mark.parametrize("changes", [{"batch_rows": 1000}, {"batch_rows": 97}, {"threads": 1}, {"threads": 2}])
@pytest.mark.parametrize("kind", ["compressed", "original_unlabelled"])
def test_batches_and_threads_do_not_matter(case: Case, kind: str, changes: dict[str, int]) -> None:
    assert case.verify(kind, **changes).errors <= document_of(case / kind)["errors"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_another_runtime_finds_no_more_errors(case: Case, dtype: type) -> None:
    """NumPy in both precisions stays within the slack: no row that counted as right is wrong there."""
    network = onnxbound_package.load(case / "compressed" / "decoded.onnx").cast(dtype)
    rows = np.load(case / "train.npz")
    x = ((rows["x"].astype(np.float64) - 0.25) / 2).astype(np.float32).astype(dtype)
    logits = linearise(network, x, [network.output]).values[network.output].astype(np.float64)
    document = document_of(case / "compressed")
    assert np.sum(~(margins(logits, rows["y"]) > 0)) <= document["errors"]
    assert 0 < document["tau"] < 0.01 * np.abs(logits).max()


@pytest.mark.parametrize("name", ["code.bin", "skeleton.onnx", "decoded.onnx", "certificate.json"])
def test_any_changed_byte_is_noticed(case: Case, copy: Callable[[str], Path], name: str) -> None:
    """Every byte of the code, every ninth of the rest, each with another bit; and bytes too few or too many."""
    folder = copy("compressed")
    original = (folder / name).read_bytes()
    for place in range(0, len(original), 1 if name == "code.bin" else 9):
        changed = bytes([original[place] ^ 1 << place % 8])
        (folder / name).write_bytes(original[:place] + changed + original[place + 1 :])
        with pytest.raises(VerificationError):
            case.verify("compressed", folder)
    for other in (original + b"\0", original + b"\xff", original[:-1], b""):
        (folder / name).write_bytes(other)
        with pytest.raises(VerificationError):
            case.verify("compressed", folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_consistent_rewrite_is_noticed(case: Case, copy: Callable[[str], Path], kind: str) -> None:
    """Every entry of the document changed, the checksum made right again: what can be found out is compared."""
    folder = copy(kind)
    original = document_of(folder)
    free = {"seed": 1, "model": 2, "baselines": 3, "tau": 4}
    for name in original.keys() - free.keys():
        for value in spoiled(original[name]):
            (folder / "certificate.json").write_bytes(canonical_json(original | {name: value}))
            assert verdict(case, kind, folder) in (1, 4), f"{name} = {value!r}"


def verdict(case: Case, kind: str, folder: Path) -> int:
    """The exit code of verify."""
    try:
        case.verify(kind, folder)
    except OnnxboundError as error:
        return error.exit_code
    return 0


def spoiled(value: Any) -> list[Any]:
    """Values of the same and of other types, all different."""
    other: list[Any] = [None, "x"]
    if isinstance(value, bool):
        other = [not value, None]
    elif isinstance(value, int):
        other += [value - 1, value + 10**9, float(value)]
    elif isinstance(value, float):
        other += [value * 0.99, 0]
    elif isinstance(value, dict):
        other += [value | {"more": 1}, *({k: v for k, v in value.items() if k != name} for name in value)]
    elif isinstance(value, list):
        other += [value[:-1], [*value, value[-1]]] if value else [[0]]
    return [x for x in other if x != value or type(x) is not type(value)]


def test_more_errors_than_are_claimed(case: Case, copy: Callable[[str], Path]) -> None:
    folder = copy("compressed")
    document = document_of(folder)
    found = case.verify("compressed").errors
    (folder / "certificate.json").write_bytes(canonical_json(document | {"errors": found - 1}))
    with pytest.raises(VerificationError, match="errors is not") as error:
        case.verify("compressed", folder)
    assert error.value.problems[0].why == f"it says {found - 1}, found {found} on this runtime"


def test_the_rows_are_those_and_no_others(case: Case, tmp_path: Path) -> None:
    """One changed value, one changed label, one row less: noticed. Repacked, with other keys: not."""
    rows = np.load(case / "train.npz")
    x, y = rows["x"], rows["y"]

    def verdict(**arrays: Any) -> int:
        np.savez_compressed(tmp_path / "rows.npz", **arrays)
        return onnxbound("verify", case / "compressed", "--data", tmp_path / "rows.npz").code

    assert verdict(y_train=y, x_train=x) == 0
    nudged, relabelled = x.copy(), y.copy()
    nudged[5000, 3] = np.nextafter(nudged[5000, 3], 9)
    relabelled[77] = (relabelled[77] + 1) % 4
    assert verdict(x=nudged, y=y) == 1
    assert verdict(x=x, y=relabelled) == 1
    assert verdict(x=x[:-1], y=y[:-1]) == 1
    assert verdict(x=x[::-1], y=y[::-1]) == 1
    assert verdict(x=x.astype(np.float64), y=y) == 1


def test_the_decoded_files_compute_the_same(case: Case) -> None:
    folder = case / "compressed"
    (small,) = folder.glob("decoded_int*.onnx")
    rows = np.random.default_rng(1).normal(size=(50, 10)).astype(np.float32)
    outputs = [
        onnxruntime.InferenceSession(path).run(None, {"input": rows})[0] for path in (folder / "decoded.onnx", small)
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-6, atol=1e-6)


def test_hostile_files(case: Case, copy: Callable[[str], Path]) -> None:
    """Mutations of all files at once: an error with a code, never a pass."""
    random = np.random.default_rng(11)
    folder = copy("compressed")
    names = ("code.bin", "skeleton.onnx", "certificate.json")
    original = {name: (folder / name).read_bytes() for name in names}
    document = read_canonical(original["certificate.json"])
    for trial in range(300):
        for name in names:
            (folder / name).write_bytes(original[name])
        name = names[trial % 3]
        changed = bytearray(original[name])
        for _ in range(int(random.integers(1, 6))):
            place = int(random.integers(len(changed)))
            piece = bytes(random.integers(0, 256, int(random.integers(0, 9))).astype(np.uint8))
            changed[place : place + int(random.integers(0, 9))] = piece
        if bytes(changed) == original[name]:
            continue
        (folder / name).write_bytes(bytes(changed))
        if name != "certificate.json":  # a certificate that names the changed file
            import hashlib

            entry = {"code.bin": "code", "skeleton.onnx": "skeleton"}[name]
            renamed = document[entry] | {"sha256": hashlib.sha256(bytes(changed)).hexdigest()}
            (folder / "certificate.json").write_bytes(canonical_json(document | {entry: renamed}))
        with pytest.raises((VerificationError, DataError)):
            case.verify("compressed", folder)


def test_a_sub_sample_is_said(case: Case, tmp_path: Path) -> None:
    arguments = ("--scale", "1", "--mean", "0.25", "--std", "2", "--effort", "1", "-q", "--limit", str(ROWS // 2))
    outcome = onnxbound(
        "certify", case / "model.onnx", "--data", case / "train.npz", *arguments, "-o", tmp_path / "half", "--json"
    )
    document = json.loads(outcome.stdout)
    assert document["rows"] == ROWS // 2
    assert any("sub-sample" in text for text in document["assumptions"])
    assert onnxbound("verify", tmp_path / "half", "--data", case / "train.npz").code == 0
