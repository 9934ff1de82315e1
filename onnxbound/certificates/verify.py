"""`verify`: everything that a certificate says, found out again from its files and the rows.

It trusts nobody: it imports the decoder and the arithmetic, and nothing of the search.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.certificate import Certificate, Files, Source, decimal_of, holdout_baseline
from onnxbound.certificates.decisions import BATCH_ROWS, Decisions, decisions
from onnxbound.certificates.decoded import decoded_bytes, decoded_network
from onnxbound.certificates.folder import CODE, DECODED, SKELETON, malformed, read_document, read_file
from onnxbound.certificates.preprocessing import joined
from onnxbound.certificates.statement import OBJECTS, Disagreements, Object, Statement
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import decode
from onnxbound.codec.skeleton import Malformed, Skeleton, read_skeleton
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.data.rows import Rows
from onnxbound.errors import Problem, UsageError, VerificationError
from onnxbound.graph.network import Network
from onnxbound.run.device import CPU, Device

SCHEMA = "onnxbound.verification/1"

T = TypeVar("T")

Opener = Callable[[Network, Preprocessing, int | None, int], Rows]
"""Opens a file of rows for a network: with its preprocessing, the size of the sub-sample or None, and its seed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verifier has besides the certificate's folder.

    Attributes:
        data: The training set.
        model: The original network.
        unlabelled: Unlabelled rows.
        holdout: Labelled rows that no network has seen.
        prior: The prior network.
        prior_rows: Places in the training set of the rows it has seen.
    """

    data: Opener | None = None
    model: Network | None = None
    unlabelled: Opener | None = None
    holdout: Opener | None = None
    prior: Network | None = None
    prior_rows: NDArray[np.int64] | None = None


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
    claims = _Claims(read_document(files))
    evaluate = _Evaluation(device, threads, batch_rows)
    try:
        if claims.object == "holdout":
            return _verify_holdout(claims, evidence, evaluate)
        return _verify_coded(files, claims, evidence, evaluate)
    except Malformed as error:
        raise malformed(f"{CODE} or {SKELETON}", str(error)) from error


@dataclass(frozen=True, slots=True)
class _Evaluation:
    device: Device
    threads: int | None
    batch_rows: int

    def __call__(self, network: Network, rows: Rows) -> Decisions:
        return decisions(network, rows, self.device, self.threads, self.batch_rows)


class _Claims:
    """The few things of a document that cannot be found out again, each of the type it must have."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.object: Object = self._one_of("object", OBJECTS)
        self.delta = decimal_of(self._number("delta", float))
        if not 0 < self.delta < 1:
            raise malformed("certificate.json", "delta is not between 0 and 1")
        self.errors: int = self._number("errors", int)
        self.tau: float = self._number("tau", float)
        self.seed: int = self._number("seed", int)
        self.preprocessing = self._dict("preprocessing")
        numbers = {"numbers"} if self.object == "holdout" else set()
        if self.preprocessing.keys() != {"layout", "scale", "mean", "std", "input"} | numbers:
            raise malformed("certificate.json", "preprocessing has other entries than it must have")
        self.model = self._dict("model")
        baselines = document.get("baselines")
        if not isinstance(baselines, list) or not all(isinstance(entry, dict) for entry in baselines):
            raise malformed("certificate.json", "baselines is not a list of objects")
        self.baselines: tuple[dict[str, Any], ...] = tuple(baselines)
        sources = document.get("inputs")
        if not isinstance(sources, list):
            raise malformed("certificate.json", "inputs is not a list")
        self.rows = {s.get("role"): s.get("rows") for s in sources if isinstance(s, dict)}

    def subsample(self, role: str) -> int | None:
        """How many rows of the file are used, where that is said."""
        rows = self.rows.get(role)
        if rows is not None and (type(rows) is not int or rows < 1):
            raise malformed("certificate.json", f"the rows of {role} are no number of rows")
        return rows

    def _number(self, name: str, kind: type) -> Any:
        value = self.document.get(name)
        if type(value) is kind and value >= 0:  # type: ignore[operator]
            return value
        raise malformed("certificate.json", f"{name} is not a number of the kind that belongs there")

    def _dict(self, name: str) -> dict[str, Any]:
        value = self.document.get(name)
        if not isinstance(value, dict):
            raise malformed("certificate.json", f"{name} is not an object")
        return value

    def _one_of(self, name: str, allowed: tuple[Object, ...]) -> Object:
        for word in allowed:
            if self.document.get(name) == word:
                return word
        raise malformed("certificate.json", f"{name} is none of {', '.join(allowed)}")


def _verify_coded(folder: Path, claims: _Claims, evidence: Evidence, evaluate: _Evaluation) -> Verification:
    skeleton_bytes, code_bytes = read_file(folder, SKELETON), read_file(folder, CODE)
    skeleton = read_skeleton(skeleton_bytes)
    code = decode(skeleton, code_bytes)
    try:
        preprocessing = joined(claims.preprocessing, code.numbers)
    except (ValueError, UsageError) as error:
        raise malformed("certificate.json", str(error)) from error
    prior = _prior(claims, evidence, skeleton)
    model = decoded_bytes(skeleton, code, prior)
    if read_file(folder, DECODED) != model:
        raise _mismatch(DECODED, "another network", "the one that the code and the skeleton give")
    decoded = decoded_network(model)
    sources: list[Source] = []
    rows = _rows(claims, evidence, "data", decoded, preprocessing)
    seen = evidence.prior_rows if claims.object == "prior" else None
    remaining = rows if seen is None else without(rows, seen)
    sources.append(Source("data", remaining.fingerprint(), remaining.count, rows.total))
    found = evaluate(decoded, remaining)
    errors = found.errors(0.0)
    unchecked = ["model"]
    counted: Disagreements | None = None
    if claims.object == "original_unlabelled":
        original = _given(evidence.model, "--model")
        fresh = _rows(claims, evidence, "unlabelled", decoded, preprocessing)
        as_given = _rows(claims, evidence, "unlabelled", original, preprocessing)
        sources.append(Source("unlabelled", fresh.fingerprint(), fresh.count, fresh.total))
        counted = _disagreements(claims, evaluate(original, as_given), evaluate(decoded, fresh), fresh.count)
    if claims.object == "prior" and evidence.prior is not None and seen is not None:
        sources.append(Source("prior", evidence.prior.sha256))
        sources.append(Source("prior_rows", rows_hash(seen), len(seen)))
    if evidence.model is not None:
        _same("model.sha256", claims.model.get("sha256"), evidence.model.sha256)
        unchecked.remove("model")
    if evidence.holdout is not None:
        fresh = _rows(claims, evidence, "holdout", decoded, preprocessing)
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
        files=Files(sha256(code_bytes).hexdigest(), code_version(code_bytes), sha256(skeleton_bytes).hexdigest()),
        sources=tuple(sources),
        preprocessing=claims.preprocessing,
        seed=claims.seed,
        model=claims.model,
        baselines=claims.baselines,
    )
    return _compared(claims, certificate, errors, unchecked)


def _verify_holdout(claims: _Claims, evidence: Evidence, evaluate: _Evaluation) -> Verification:
    original = _given(evidence.model, "--model")
    try:
        preprocessing = joined(claims.preprocessing, tuple(claims.preprocessing.get("numbers", ())))
    except (TypeError, ValueError, UsageError) as error:
        raise malformed("certificate.json", str(error)) from error
    rows = _rows(claims, evidence, "holdout", original, preprocessing)
    errors = evaluate(original, rows).errors(0.0)
    _same("model.sha256", claims.model.get("sha256"), original.sha256)
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
        files=None,
        sources=(Source("holdout", rows.fingerprint(), rows.count, rows.total),),
        preprocessing=claims.preprocessing,
        seed=claims.seed,
        model=claims.model,
        baselines=claims.baselines,
    )
    return _compared(claims, certificate, errors, [])


def without(rows: Rows, seen: NDArray[np.int64]) -> Rows:
    """The rows that a prior has not seen.

    Raises:
        UsageError: The places are not those of rows, or no row is left.
    """
    if seen.ndim != 1 or seen.dtype.kind not in "iu" or not np.isin(seen, rows.index).all():
        raise UsageError("usage", "--prior-rows takes a vector of places of rows in the training set, .npy.")
    kept = ~np.isin(rows.index, seen)
    if not kept.any():
        raise UsageError("usage", "The prior has seen every row: none is left to evaluate on.")
    return replace(rows, index=rows.index[kept], labels=rows.labels[kept])


def rows_hash(places: NDArray[np.int64]) -> str:
    """SHA-256 of places of rows."""
    return sha256(np.sort(places).astype("<i8").tobytes()).hexdigest()


def code_version(code: bytes) -> int:
    """The decoder version that a code asks for, its first byte."""
    from onnxbound.codec.mixing import Reader

    reader = Reader(code)
    return sum(reader.plain(None) << place for place in reversed(range(8)))


def _prior(claims: _Claims, evidence: Evidence, skeleton: Skeleton) -> Mapping[str, NDArray[np.float32]] | None:
    if claims.object != "prior":
        return None
    prior = _given(evidence.prior, "--prior")
    _given(evidence.prior_rows, "--prior-rows")
    described = describe(prior)
    if described.skeleton.to_bytes() != skeleton.to_bytes():
        raise _mismatch("prior", "a network of another skeleton", "one of the certificate's")
    return described.tensors


def _rows(claims: _Claims, evidence: Evidence, role: str, network: Network, preprocessing: Preprocessing) -> Rows:
    """The rows of a role, opened for a network, which may take integers where the decoded one takes float32."""
    opener: Opener | None = getattr(evidence, role)
    open_file = _given(opener, f"--{role}")
    if network.input_type.kind != "f":
        preprocessing = Preprocessing(layout=preprocessing.layout)
    name = claims.preprocessing.get("input")
    if not isinstance(name, str):
        raise malformed("certificate.json", "the name of the input is no text")
    named = replace(network, input=name)
    limit = claims.subsample(role) if claims.object != "prior" else None
    return open_file(named, preprocessing, limit, claims.seed)


def _errors(claims: _Claims, found: int, rows: int) -> int:
    """The errors that are claimed, if that many are enough."""
    if not found <= claims.errors <= rows:
        raise _mismatch("errors", f"{claims.errors}", f"{found} on this runtime")
    return claims.errors


def _disagreements(claims: _Claims, original: Decisions, decoded: Decisions, rows: int) -> Disagreements:
    claimed = claims.document.get("disagreements")
    count = claimed.get("count") if isinstance(claimed, dict) else None
    found = int(np.sum(original.predicted != decoded.predicted))
    if type(count) is not int or not found <= count <= rows:
        raise _mismatch("disagreements", f"{count}", f"{found} on this runtime")
    return Disagreements(rows, count)


def _compare_baseline(claims: _Claims, subject: str, rows: Rows, found: Decisions) -> None:
    expected = holdout_baseline(subject, 0, rows.count, claims.delta)
    for claimed in claims.baselines:
        if claimed.get("name") == expected["name"]:
            errors = claimed.get("errors")
            if type(errors) is not int or not found.errors(0.0) <= errors <= rows.count:
                raise _mismatch(str(expected["name"]), f"{errors} errors", f"{found.errors(0.0)} on this runtime")
            _same(str(expected["name"]), claimed, holdout_baseline(subject, errors, rows.count, claims.delta))


def _compared(claims: _Claims, certificate: Certificate, errors: int, unchecked: list[str]) -> Verification:
    """Every entry of the document against the one that was found out again, in their order."""
    expected = certificate.document()
    for name in (*expected, *claims.document):
        if name not in expected or name not in claims.document:
            raise _mismatch(name, "an entry more or less", "exactly the entries of a certificate")
        _same(name, claims.document[name], expected[name])
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


def _same(name: str, claimed: object, found: object) -> None:
    if claimed != found or type(claimed) is not type(found):
        raise _mismatch(name, repr(claimed), repr(found))


def _mismatch(where: str, claimed: str, found: str) -> VerificationError:
    return VerificationError(
        "certificate-mismatch",
        f"The certificate does not verify: {where} is not what it says.",
        [
            Problem(
                where,
                f"it says {claimed[:200]}, found {found[:200]}",
                "do not rely on it; check that these are the rows it names",
            )
        ],
    )


def _given(value: T | None, flag: str) -> T:
    if value is None:
        raise VerificationError(
            "certificate-evidence",
            f"The certificate cannot be verified without {flag}.",
            [Problem(flag, "the statement rests on it", f"give {flag}")],
        )
    return value
