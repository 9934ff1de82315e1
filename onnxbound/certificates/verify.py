"""`verify`: everything that a certificate says, found out again from its files and the rows.

It trusts nobody: it imports the decoder and the arithmetic, and nothing of the search.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.certificate import Certificate, Source, files_of, holdout_baseline
from onnxbound.certificates.claims import Claims, mismatch, require_same
from onnxbound.certificates.decisions import BATCH_ROWS, Decisions, Evaluation
from onnxbound.certificates.decoded import decoded_bytes, decoded_network
from onnxbound.certificates.evidence import Evidence, given, open_role, rows_hash, without
from onnxbound.certificates.folder import CODE, DECODED, SKELETON, malformed, read_document, read_file
from onnxbound.certificates.preprocessing import joined
from onnxbound.certificates.statement import Disagreements, Object, Statement
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import decode
from onnxbound.codec.skeleton import Malformed, Skeleton, read_skeleton
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.run.device import CPU, Device

SCHEMA = "onnxbound.verification/1"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a certificate that verifies comes to.

    Attributes:
        verified: True.
        errors: Errors counted here; no more than are claimed.
        unchecked: What the certificate says besides and nothing was given to check with.
    """

    verified: bool
    statement: str
    object: Object
    rows: int
    errors: int
    errors_claimed: int
    bits: int
    delta: float
    bound: float
    vacuous: bool
    chance: float
    assumptions: tuple[str, ...]
    unchecked: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`onnxbound.verification/1`."""
        return {"schema": SCHEMA, **asdict(self)}


def verify(
    folder: str | PathLike[str],
    evidence: Evidence,
    device: Device = CPU,
    threads: int | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Verification:
    """Find out again everything that a certificate says.

    Args:
        folder: With the certificate's files.
        evidence: The rows, and for some objects more.
        device: Where networks are evaluated.
        threads: None for all cores.
        batch_rows: Rows at a time; no certificate depends on it.

    Raises:
        VerificationError: certificate-malformed, certificate-mismatch with the first thing that differs, or
            certificate-evidence.
        DataError: The rows cannot be read, or do not fit the network.
        DeviceError: The runtime failed.
    """
    files = Path(folder)
    claims = Claims(read_document(files))
    evaluate = Evaluation(device, threads, batch_rows)
    try:
        if claims.object == "holdout":
            return _verify_holdout(claims, evidence, evaluate)
        return _verify_coded(files, claims, evidence, evaluate)
    except Malformed as error:
        raise malformed(f"{CODE} or {SKELETON}", str(error)) from error


def _verify_coded(folder: Path, claims: Claims, evidence: Evidence, evaluate: Evaluation) -> Verification:
    skeleton_bytes, code_bytes = read_file(folder, SKELETON), read_file(folder, CODE)
    code_file, skeleton_file = files_of(code_bytes, skeleton_bytes)
    for name, file in (("skeleton", skeleton_file), ("code", code_file)):
        entry = claims.document.get(name)
        require_same(f"{name}.sha256", entry.get("sha256") if isinstance(entry, dict) else None, file.sha256)
    skeleton = read_skeleton(skeleton_bytes)
    code = decode(skeleton, code_bytes)
    try:
        preprocessing = joined(claims.preprocessing, code.numbers)
    except (ValueError, UsageError) as error:
        raise malformed("certificate.json", str(error)) from error
    prior = _prior(claims, evidence, skeleton)
    model = decoded_bytes(skeleton, code, prior)
    if read_file(folder, DECODED) != model:
        raise mismatch(DECODED, "another network", "the one that the code and the skeleton give")
    decoded = decoded_network(model)
    sources: list[Source] = []
    rows = open_role(claims, evidence, "data", decoded, preprocessing)
    seen = evidence.prior_rows if claims.object == "prior" else None
    remaining = rows if seen is None else without(rows, seen)
    sources.append(Source("data", remaining.fingerprint(), remaining.count, rows.total))
    found = evaluate(decoded, remaining)
    errors = found.errors(0.0)
    unchecked = ["model"]
    counted: Disagreements | None = None
    if claims.object == "original_unlabelled":
        original = given(evidence.model, "--model")
        fresh = open_role(claims, evidence, "unlabelled", decoded, preprocessing)
        as_given = open_role(claims, evidence, "unlabelled", original, preprocessing)
        sources.append(Source("unlabelled", fresh.fingerprint(), fresh.count, fresh.total))
        counted = _disagreements(claims, evaluate(original, as_given), evaluate(decoded, fresh), fresh.count)
    if claims.object == "prior" and evidence.prior is not None and seen is not None:
        sources.append(Source("prior", evidence.prior.sha256))
        sources.append(Source("prior_rows", rows_hash(seen), len(seen)))
    if evidence.model is not None:
        require_same("model.sha256", claims.model.get("sha256"), evidence.model.sha256)
        unchecked.remove("model")
    if evidence.holdout is not None:
        fresh = open_role(claims, evidence, "holdout", decoded, preprocessing)
        _compare_baseline(claims, "decoded", fresh, evaluate(decoded, fresh))
    unchecked += [entry["name"] for entry in claims.baselines if evidence.holdout is None and "name" in entry]
    certificate = Certificate(
        statement=Statement(
            object=claims.object,
            rows=remaining.count,
            errors=_errors(claims, errors, remaining.count),
            bits=8 * len(code_bytes),
            delta=claims.delta,
            classes=decoded.classes,
            commonest=int(np.bincount(remaining.labels).max()),
            disagreements=counted,
        ),
        tau=claims.tau,
        code=code_file,
        skeleton=skeleton_file,
        sources=tuple(sources),
        preprocessing=claims.preprocessing,
        seed=claims.seed,
        model=claims.model,
        baselines=claims.baselines,
    )
    return _compared(claims, certificate, errors, unchecked)


def _verify_holdout(claims: Claims, evidence: Evidence, evaluate: Evaluation) -> Verification:
    original = given(evidence.model, "--model")
    try:
        preprocessing = joined(claims.preprocessing, tuple(claims.preprocessing.get("numbers", ())))
    except (TypeError, ValueError, UsageError) as error:
        raise malformed("certificate.json", str(error)) from error
    rows = open_role(claims, evidence, "holdout", original, preprocessing)
    errors = evaluate(original, rows).errors(0.0)
    require_same("model.sha256", claims.model.get("sha256"), original.sha256)
    certificate = Certificate(
        statement=Statement(
            object="holdout",
            rows=rows.count,
            errors=_errors(claims, errors, rows.count),
            bits=0,
            delta=claims.delta,
            classes=original.classes,
            commonest=int(np.bincount(rows.labels).max()),
        ),
        tau=claims.tau,
        code=None,
        skeleton=None,
        sources=(Source("holdout", rows.fingerprint(), rows.count, rows.total),),
        preprocessing=claims.preprocessing,
        seed=claims.seed,
        model=claims.model,
        baselines=claims.baselines,
    )
    return _compared(claims, certificate, errors, [])


def _prior(claims: Claims, evidence: Evidence, skeleton: Skeleton) -> Mapping[str, NDArray[np.float32]] | None:
    if claims.object != "prior":
        return None
    prior = given(evidence.prior, "--prior")
    given(evidence.prior_rows, "--prior-rows")
    described = describe(prior)
    if described.skeleton.to_bytes() != skeleton.to_bytes():
        raise mismatch("prior", "a network of another skeleton", "one of the certificate's")
    return described.tensors


def _errors(claims: Claims, found: int, rows: int) -> int:
    """The errors that are claimed, if that many are enough."""
    if not found <= claims.errors <= rows:
        raise mismatch("errors", f"{claims.errors}", f"{found} on this runtime")
    return claims.errors


def _disagreements(claims: Claims, original: Decisions, decoded: Decisions, rows: int) -> Disagreements:
    claimed = claims.document.get("disagreements")
    count = claimed.get("count") if isinstance(claimed, dict) else None
    found = int(np.sum(original.predicted != decoded.predicted))
    if type(count) is not int or not found <= count <= rows:
        raise mismatch("disagreements", f"{count}", f"{found} on this runtime")
    return Disagreements(rows, count)


def _compare_baseline(claims: Claims, subject: str, rows: Rows, found: Decisions) -> None:
    expected = holdout_baseline(subject, 0, rows.count, claims.delta)
    for claimed in claims.baselines:
        if claimed.get("name") == expected["name"]:
            errors = claimed.get("errors")
            if type(errors) is not int or not found.errors(0.0) <= errors <= rows.count:
                raise mismatch(str(expected["name"]), f"{errors} errors", f"{found.errors(0.0)} on this runtime")
            require_same(str(expected["name"]), claimed, holdout_baseline(subject, errors, rows.count, claims.delta))


def _compared(claims: Claims, certificate: Certificate, errors: int, unchecked: list[str]) -> Verification:
    """Every entry of the document against the one that was found out again, in their order."""
    expected = certificate.document()
    for name in (*expected, *claims.document):
        if name not in expected or name not in claims.document:
            raise mismatch(name, "an entry more or less", "exactly the entries of a certificate")
        require_same(name, claims.document[name], expected[name])
    document = claims.document
    names = ("statement", "object", "rows", "bits", "delta", "bound", "vacuous", "chance")
    return Verification(
        verified=True,
        errors=errors,
        errors_claimed=claims.errors,
        assumptions=tuple(document["assumptions"]),
        unchecked=tuple(unchecked),
        **{name: document[name] for name in names},
    )
