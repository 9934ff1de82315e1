"""`verify`: everything that a certificate says, found out again from its code and from what the verifier gives.

It trusts nobody: it imports the decoder and the arithmetic, and nothing of the search. Nothing in the document chooses
how anything is read or counted; it is compared in the end.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates import evidence as given_rows
from onnxbound.certificates.certificate import (
    Certificate,
    CodeFile,
    Source,
    model_hash,
    preprocessing_said,
    reading_of,
)
from onnxbound.certificates.claims import Claims, mismatch, require_same
from onnxbound.certificates.decisions import BATCH_ROWS, Evaluation, Progress, disagreements, errors
from onnxbound.certificates.decoded import Decoded, decoded
from onnxbound.certificates.evidence import ByFile, Evidence, given
from onnxbound.certificates.folder import CERTIFICATE, CODE, DECODED, malformed, read_document, read_file, require_only
from onnxbound.certificates.statement import Disagreements, Object, Statement
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import NetworkCode, architecture_bits, decode, is_the_prior, same_architecture
from onnxbound.codec.quantised import INTEGER_FILES, quantised
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.words_said import preprocessing_in_words
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.data.rows import Rows
from onnxbound.run.device import CPU, Device

SCHEMA = "onnxbound.verification/2"


@dataclass(frozen=True, slots=True)
class Used:
    """Rows as they were read.

    Attributes:
        role: What for.
        array: File and array of the inputs.
        shape: Its shape.
        sha256: Of rows and labels.
        rows: How many count.
        distinct: How many different values they have.
    """

    role: str
    array: str
    shape: tuple[int, ...]
    sha256: str
    rows: int
    distinct: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What a certificate that verifies comes to.

    Attributes:
        verified: True.
        errors: Errors counted here; no more than are claimed.
        used: The rows that were read.
        preprocessing: In words.
        architecture: In words; empty for hold-out rows.
        architecture_bits: How many of the bits it takes.
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
    used: tuple[Used, ...]
    preprocessing: str
    architecture: str
    architecture_bits: int
    assumptions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`onnxbound.verification/2`."""
        return {"schema": SCHEMA, **asdict(self)}


def verify(
    folder: str | PathLike[str],
    evidence: Evidence,
    device: Device = CPU,
    threads: int | None = None,
    batch_rows: int = BATCH_ROWS,
    *,
    delta: Decimal = Decimal("0.05"),
    unlabelled_known: bool = False,
    repeated_rows: bool = False,
    progress: Progress = lambda *_: None,
) -> Verification:
    """Find out again everything that a certificate says.

    Args:
        folder: With the certificate's files and nothing else.
        evidence: The rows, and for some objects more.
        device: Where networks are evaluated.
        threads: None for all cores.
        batch_rows: Rows at a time; no certificate depends on it.
        delta: The probability of failure that the verifier allows; the certificate has to have the same.
        unlabelled_known: Whether the decoded network may have been chosen by the unlabelled rows.
        repeated_rows: Whether rows may be copies of each other.
        progress: Is told a stage, how much of it is done, and how much there is.

    Raises:
        VerificationError: certificate-malformed, certificate-mismatch with the first thing that differs, or
            certificate-evidence.
        DataError: The rows cannot be read, do not fit the network, or are copies of each other.
        ModelError: The original network mixes rows, or has no logits.
        DeviceError: The runtime failed.
    """
    files = Path(folder)
    claims = Claims(read_document(files), delta)
    check = _Check(claims, evidence, Evaluation(device, threads, batch_rows, progress), repeated_rows, unlabelled_known)
    try:
        if claims.object == "holdout":
            require_only(files, (CERTIFICATE,))
            return check.holdout()
        require_only(files, (CERTIFICATE, CODE, DECODED), INTEGER_FILES)
        return check.coded(files)
    except Malformed as error:
        raise malformed(CODE, str(error)) from error


@dataclass(frozen=True, slots=True)
class _Check:
    """One run of the verifier."""

    claims: Claims
    evidence: Evidence
    evaluate: Evaluation
    repeated: bool
    known: bool

    def coded(self, files: Path) -> Verification:
        claims, evidence = self.claims, self.evidence
        data, written = read_file(files, CODE), read_file(files, DECODED)
        code = decode(data)
        if code.difference != (claims.object == "prior"):
            raise Malformed("a difference from a prior and a network of its own are different objects")
        net = decoded(code, self._prior(code))
        if net.to_bytes() != written:
            raise mismatch(DECODED, "another network", "the one that the code describes")
        integers = {} if code.difference else quantised(net.model, code)
        for name in INTEGER_FILES:
            if (files / name).exists() and integers.get(name) != read_file(files, name):
                raise mismatch(name, "another network", "the one that the code describes")
        rows = given(evidence.data, "data")(net, code.preprocessing)
        sources, seen, original = [], 0, None
        if claims.object == "prior":
            prior = given(evidence.prior, "prior")
            seen = given(evidence.prior_rows, "prior_rows")
            sources.append(Source("prior", model_hash(prior)))
        first, counted = given_rows.without_first(rows, seen)
        values = self._distinct(counted, "data")
        used = [_used("data", counted, values)]
        if seen:
            given_rows.require_disjoint(
                values,
                given_rows.distinct(first),
                ("the rows that count", "those of the prior"),
                repeated=self.repeated,
            )
        sources.append(Source("data", counted.fingerprint(), counted.count, rows.total))
        found = errors(self.evaluate(net, counted), counted.labels)
        apart: Disagreements | None = None
        if claims.object == "original_unlabelled":
            apart, fresh, original = self._through_unlabelled(net, code, values)
            used.append(fresh)
            sources.append(Source("unlabelled", fresh.sha256, fresh.rows, fresh.rows))
        statement = _statement(claims, counted, found, 8 * len(data), net.classes, apart)
        model = evidence.model if original is not None else None
        certificate = Certificate(
            statement=statement,
            code=CodeFile.of(data, code, written),
            sources=tuple(sources),
            preprocessing=preprocessing_said(code, original),
            reading=reading_of(evidence.labels_start, model),
            model=None if model is None else {"sha256": model_hash(model)},
        )
        return self._compared(certificate, found, used, architecture_bits(code.architecture))

    def holdout(self) -> Verification:
        claims, evidence = self.claims, self.evidence
        original = given(evidence.model, "model")
        preprocessing = evidence.preprocessing or Preprocessing()
        rows = given(evidence.holdout, "holdout")(ByFile.of(original), preprocessing)
        used = [_used("holdout", rows, self._distinct(rows, "holdout"))]
        found = errors(self.evaluate(original, rows), rows.labels)
        certificate = Certificate(
            statement=_statement(claims, rows, found, 0, original.classes, None),
            code=None,
            sources=(Source("holdout", rows.fingerprint(), rows.count, rows.total),),
            preprocessing=preprocessing_said(None, preprocessing_in_words(preprocessing)),
            reading=reading_of(evidence.labels_start, original),
            model={"sha256": model_hash(original)},
        )
        return self._compared(certificate, found, used)

    def _distinct(self, rows: Rows, role: str) -> set[bytes]:
        found = given_rows.distinct(rows)
        given_rows.require_distinct(rows, found, role, repeated=self.repeated)
        return found

    def _prior(self, code: NetworkCode) -> dict[str, NDArray[np.float32]] | None:
        """The tensors of the prior, which has to have the code's architecture."""
        if not code.difference:
            return None
        described = describe(given(self.evidence.prior, "prior"))
        if not same_architecture(described.architecture, code):
            raise mismatch("prior", "a network of another architecture", "one of the code's")
        if is_the_prior(code):
            raise mismatch("prior", "a network that has seen fewer rows", "the very network that is certified")
        return dict(described.tensors)

    def _through_unlabelled(self, net: Decoded, code: NetworkCode, seen: set[bytes]) -> tuple[Disagreements, Used, str]:
        original = given(self.evidence.model, "model")
        opener, preprocessing = (
            given(self.evidence.unlabelled, "unlabelled"),
            self.evidence.preprocessing or Preprocessing(),
        )
        fresh = opener(net, code.preprocessing)
        values = self._distinct(fresh, "unlabelled")
        given_rows.require_disjoint(values, seen, ("The unlabelled rows", "the labelled ones"), repeated=self.repeated)
        one = self.evaluate(original, opener(ByFile.of(original), preprocessing))
        found = disagreements(one, self.evaluate(net, fresh))
        claimed = self.claims.checked_disagreements(found, fresh.count, known=self.known)
        return claimed, _used("unlabelled", fresh, values), preprocessing_in_words(preprocessing)

    def _compared(self, certificate: Certificate, found: int, used: list[Used], architecture: int = 0) -> Verification:
        """Every entry of the document against the one that was found out again, in their order."""
        document, expected = self.claims.document, certificate.document()
        for name in (*expected, *document):
            if name not in expected or name not in document:
                raise mismatch(name, "an entry more or less", "exactly the entries of a certificate")
            require_same(name, document[name], expected[name])
        names = ("statement", "object", "rows", "bits", "delta", "bound", "vacuous", "chance", "preprocessing")
        return Verification(
            verified=True,
            errors=found,
            errors_claimed=self.claims.errors,
            used=tuple(used),
            architecture="" if certificate.code is None else certificate.code.architecture,
            architecture_bits=architecture,
            assumptions=tuple(expected["assumptions"]),
            **{name: expected[name] for name in names},
        )


def _statement(
    claims: Claims, rows: Rows, found: int, bits: int, classes: int, apart: Disagreements | None
) -> Statement:
    return Statement(
        object=claims.object,
        rows=rows.count,
        errors=claims.checked_errors(found, rows.count),
        bits=bits,
        delta=claims.delta,
        classes=classes,
        commonest=int(np.bincount(rows.labels).max()),
        disagreements=apart,
    )


def _used(role: str, rows: Rows, values: set[bytes]) -> Used:
    array = rows.array
    return Used(role, array.name, tuple(array.shape), rows.fingerprint(), rows.count, len(values))
