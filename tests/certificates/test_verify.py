"""Every certificate verifies, and nothing that differs from it in one place does."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import onnxbound as onnxbound_package
from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.certificate import decimal_of
from onnxbound.certificates.decisions import decided, errors
from onnxbound.cli.schemas import every_schema
from onnxbound.errors import DataError, OnnxboundError, VerificationError
from onnxbound.linear.linearisation import linearise
from tests.certificates.conftest import PRIOR_ROWS, ROWS, Case, rewrite
from tests.cli.command import failing, onnxbound

KINDS = ("compressed", "original_unlabelled", "holdout", "prior")
NORMALISED = ("--scale", "1", "--mean", "0.25", "--std", "2")


def document_of(folder: Path) -> dict[str, Any]:
    return read_canonical((folder / "certificate.json").read_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_verifies(case: Case, kind: str) -> None:
    verified = case.verify(kind)
    document = document_of(case / kind)
    assert document["object"] == kind
    assert verified.errors <= document["errors"]
    assert document["vacuous"] == (document["bound"] >= document["chance"])
    assert not document["vacuous"]
    assert document["bits"] == (8 * (case / kind / "code.bin").stat().st_size if kind != "holdout" else 0)
    assert 0 < verified.architecture_bits <= 80 or kind == "holdout"
    bound = error_bound(document["errors"], document["rows"], document["bits"], decimal_of(document["delta"]))
    if kind != "original_unlabelled":
        assert document["bound"] == float(bound)
    assert document["rows"] == {"prior": ROWS - PRIOR_ROWS, "holdout": 2000}.get(kind, ROWS)


def test_the_command_line_agrees(case: Case) -> None:
    rows = ("--data", case / "train.npz")
    outcome = onnxbound("verify", case / "compressed", *rows, "--json")
    assert outcome.code == 0
    assert outcome.json()["verified"] is True
    for kind in KINDS:
        assert document_of(case / kind)["schema"] in every_schema()
    text = onnxbound("verify", case / "compressed", *rows).stdout
    assert outcome.json()["statement"] in text
    for said in ("train.npz:x.npy, 12000 x 10; 12,000 rows count", "Dense 6, Relu, Dense 4", "mean 0.25, std 2.0"):
        assert said in text
    original = ("--model", case / "model.onnx", *NORMALISED)
    assert onnxbound("verify", case / "holdout", "--holdout", case / "test.npz", *original).code == 0
    fresh = ("--unlabelled", case / "fresh.npz", *original)
    assert onnxbound("verify", case / "original_unlabelled", *rows, *fresh).code == 0
    prior = ("--prior", case / "prior.onnx", "--prior-rows", str(PRIOR_ROWS))
    assert onnxbound("verify", case / "prior", *rows, *prior).code == 0
    error = failing("verify", case / "compressed", "--data", case / "test.npz")
    assert (error["code"], error["exit_code"]) == ("certificate-mismatch", 1)
    # It names the rows, and quotes no sentence that nobody has checked.
    assert "it states another value for rows" in error["message"]
    assert error["problems"][0]["do"] == "give the rows that it is about"
    assert error["problems"][0]["why"] == "the certificate says 12,000, found 2,000 in what was given"
    assert "confidence" not in str(error)
    error = failing("verify", case / "nowhere", *rows)
    assert (error["code"], error["exit_code"]) == ("data-not-found", 4)
    error = failing("verify", case / "original_unlabelled", *rows)
    assert (error["code"], error["exit_code"]) == ("certificate-evidence", 2)
    error = failing("verify", case.folder, *rows)
    assert (error["code"], error["exit_code"]) == ("certificate-malformed", 1)


@pytest.mark.parametrize("changes", [{"batch_rows": 97, "threads": 1}, {"batch_rows": 1000, "threads": 2}])
@pytest.mark.parametrize("kind", ["compressed", "original_unlabelled"])
def test_batches_and_threads_do_not_matter(case: Case, kind: str, changes: dict[str, int]) -> None:
    assert case.verify(kind, **changes).errors == document_of(case / kind)["errors"]


def test_other_runtimes_find_the_same_errors(case: Case) -> None:
    """NumPy in both precisions and the reference evaluator of onnx, each judged by the same rule."""
    path, rows = case / "compressed" / "decoded.onnx", np.load(case / "train.npz")
    x = ((rows["x"].astype(np.float64) - 0.25) / 2).astype(np.float32)
    network, claimed = onnxbound_package.load(path), document_of(case / "compressed")["errors"]
    found = [ReferenceEvaluator(onnx.load(path)).run(None, {"input": x})[0]]
    for dtype in (np.float32, np.float64):
        single = network.cast(dtype)
        found.append(linearise(single, x.astype(dtype), [single.output]).values[single.output])
    for logits in found:
        assert abs(errors(decided(logits.astype(np.float64)), rows["y"]) - claimed) <= 2


@pytest.mark.parametrize("name", ["code.bin", "decoded.onnx", "certificate.json"])
def test_any_changed_byte_is_noticed(case: Case, copy: Callable[[str], Path], name: str) -> None:
    """Many bytes, each with another bit; and bytes too few or too many."""
    folder = copy("compressed")
    original = (folder / name).read_bytes()
    for place in range(0, len(original), 3 if name == "code.bin" else 41):
        changed = bytes([original[place] ^ 1 << place % 8])
        (folder / name).write_bytes(original[:place] + changed + original[place + 1 :])
        with pytest.raises((VerificationError, DataError)):
            case.verify("compressed", folder)
    for other in (original + b"\0", original + b"\xff", original[:-1], b""):
        (folder / name).write_bytes(other)
        with pytest.raises((VerificationError, DataError)):
            case.verify("compressed", folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_consistent_rewrite_is_noticed(case: Case, copy: Callable[[str], Path], kind: str) -> None:
    """Every entry of the document changed, the checksum made right again: all of it is found out again."""
    folder = copy(kind)
    original = document_of(folder)
    for name in (*original, "tau", "train_error"):
        for value in spoiled(original.get(name, 0.5)):
            (folder / "certificate.json").write_bytes(canonical_json(original | {name: value}))
            with pytest.raises(VerificationError):
                case.verify(kind, folder)


def spoiled(value: Any) -> list[Any]:
    """Values of the same and of other types, all different."""
    other: list[Any] = [None]
    if isinstance(value, bool):
        other = [not value]
    elif isinstance(value, int):
        other = [value - 1, float(value)]
    elif isinstance(value, float):
        other = [value * 0.99]
    elif isinstance(value, dict):
        other = [value | {"more": 1}, dict(list(value.items())[1:])]
    elif isinstance(value, list):
        other = [value[:-1]] if value else [[0]]
    return [x for x in other if x != value or type(x) is not type(value)]


def test_more_errors_than_are_claimed(case: Case, copy: Callable[[str], Path]) -> None:
    """A statement of one error less, all of whose numbers fit together."""
    folder = copy("compressed")
    found = case.verify("compressed").errors
    rewrite(folder, errors=found - 1)
    with pytest.raises(VerificationError, match="another value for errors") as error:
        case.verify("compressed", folder)
    assert error.value.problems[0].why == f"the certificate says {found - 1}, found {found} on this runtime"


def test_delta_is_the_verifiers(case: Case, tmp_path: Path) -> None:
    """One of another delta is refused unless it is the one that the verifier asks for."""
    with pytest.raises(VerificationError, match="delta"):
        case.verify("compressed", delta=Decimal("0.01"))
    made = onnxbound(
        "certify",
        case / "model.onnx",
        "--holdout",
        case / "test.npz",
        *NORMALISED,
        "--delta",
        "0.2",
        "-o",
        tmp_path / "h",
    )
    assert made.code == 0
    assert made.stdout.splitlines()[-1].endswith("--delta 0.2")
    with pytest.raises(VerificationError, match="delta"):
        case.verify("holdout", tmp_path / "h")
    assert case.verify("holdout", tmp_path / "h", delta=Decimal("0.2")).delta == 0.2


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


def test_a_folder_holds_a_certificate_alone(case: Case, copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy("compressed")
    (folder / "README.txt").write_text("verified by experts")
    with pytest.raises(VerificationError, match=r"README\.txt: it is no part"):
        case.verify("compressed", folder)
    (folder / "README.txt").unlink()
    (folder / "code.bin").rename(tmp_path / "code.bin")
    with pytest.raises(VerificationError, match=r"code\.bin: it is missing"):
        case.verify("compressed", folder)
    (folder / "code.bin").symlink_to(tmp_path / "code.bin")
    with pytest.raises(VerificationError, match="it is a link"):
        case.verify("compressed", folder)
    error = failing("certify", case / "model.onnx", "--holdout", case / "test.npz", *NORMALISED, "-o", case.folder)
    assert "may hold no others" in error["message"]


def test_format_1_is_refused_by_name(case: Case, copy: Callable[[str], Path]) -> None:
    folder = copy("compressed")
    document = document_of(folder) | {"schema": "onnxbound.certificate/1"}
    (folder / "certificate.json").write_bytes(canonical_json(document))
    with pytest.raises(VerificationError, match="format 1, which could be forged"):
        case.verify("compressed", folder)


def test_hostile_files(case: Case, copy: Callable[[str], Path]) -> None:
    """Mutations of the files, the document made right again: an error with a code, never a pass."""
    random = np.random.default_rng(11)
    folder = copy("compressed")
    names = ("code.bin", "code.bin", "certificate.json")
    original = {name: (folder / name).read_bytes() for name in names}
    document = read_canonical(original["certificate.json"])
    for trial in range(90):
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
        if name == "code.bin":
            renamed = document["code"] | {"sha256": hashlib.sha256(bytes(changed)).hexdigest()}
            (folder / "certificate.json").write_bytes(canonical_json(document | {"code": renamed}))
        with pytest.raises((VerificationError, DataError)):
            case.verify("compressed", folder)


def test_a_trial_on_some_of_the_rows_writes_nothing(case: Case, tmp_path: Path) -> None:
    """A choice of rows would be one more thing that an issuer could make after looking."""
    words = (*NORMALISED, "--effort", "1", "-q", "--limit", str(ROWS // 2), "-o", tmp_path / "half")
    outcome = onnxbound("certify", case / "model.onnx", "--data", case / "train.npz", *words)
    assert outcome.code == 0
    assert "nothing was written" in outcome.stdout
    assert not (tmp_path / "half").exists()


def test_integer_files_compute_the_same_and_are_compared(
    case: Case, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    """Written where they are smaller than the original, from integers alone, and found out again."""
    from tests.nets import random_mlp

    path, random = random_mlp(tmp_path / "net.onnx", (40, 30, 4), seed=2), np.random.default_rng(1)
    x = random.normal(size=(4000, 40)).astype(np.float32)
    network = onnxbound_package.load(path).cast(np.float32)
    y = linearise(network, x, [network.output]).values[network.output].argmax(axis=1)
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    folder, data = tmp_path / "c", ("--data", tmp_path / "rows.npz")
    assert onnxbound("certify", path, *data, "--effort", "1", "-q", "-o", folder).code == 0
    (small,) = folder.glob("decoded_int*.onnx")
    assert small.stat().st_size < min(path.stat().st_size, (folder / "decoded.onnx").stat().st_size)
    one, other = (
        onnxruntime.InferenceSession(file).run(None, {"input": x[:200]})[0] for file in (folder / "decoded.onnx", small)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(one).max())
    assert onnxbound("verify", folder, *data).code == 0
    content = bytearray(small.read_bytes())
    content[content.index(b"_levels") + 20] ^= 1
    small.write_bytes(bytes(content))
    assert failing("verify", folder, *data)["problems"][0]["where"] == small.name
    small.unlink()
    assert onnxbound("verify", folder, *data).code == 0


def test_what_is_missing_is_named(case: Case) -> None:
    for kind, parameter in (
        ("compressed", "data"), ("original_unlabelled", "model"), ("original_unlabelled", "unlabelled"),
        ("holdout", "holdout"), ("holdout", "model"), ("prior", "prior"), ("prior", "prior_rows"),
    ):  # fmt: skip
        evidence = replace(case.evidence(kind), **{parameter: None})
        with pytest.raises(OnnxboundError, match=f"without `{parameter}`"):
            case.verify(kind, evidence=evidence)
