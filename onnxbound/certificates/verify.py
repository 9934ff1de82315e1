"""`verify`: everything that a certificate says, found out again from its code and from what the verifier gives.

It trusts nobody: it imports the decoder and the arithmetic, and nothing of the search. Nothing in the document chooses
how anything is read or counted; it is compared in the end.
"""

from dataclasses import dataclass
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

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
from onnxbound.certificates.claims import Claims, mismatch, other_network, require_same
from onnxbound.certificates.decisions import BATCH_ROWS, Evaluation, Progress, disagreements, errors
from onnxbound.certificates.decoded import decoded
from onnxbound.certificates.evidence import ByFile, Evidence, given
from onnxbound.certificates.files import CERTIFICATE, CODE, DECODED, malformed, read_document, read_file, require_only
from onnxbound.certificates.statement import Disagreements, Object, Statement
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import NetworkCode, architecture_bits, decode, is_the_prior, same_architecture
from onnxbound.codec.quantised import INTEGER_FILES, quantised
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.words_said import preprocessing_in_words
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.data.rows import Rows
from onnxbound.documents.document import Document, print_prose
from onnxbound.run.device import CPU, Device

if TYPE_CHECKING:
    from rich.console import Console


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


@dataclass(frozen=True, slots=True, repr=False)
class Verification(Document):
    """What a certificate that verifies comes to.

    Attributes:
        verified: True.
        errors: Errors counted here; no more than are claimed.
        used: The rows that were read.
        preprocessing: In words.
        architecture: In words; empty for hold-out rows.
        architecture_bits: How many of the bits it takes.
    """

    SCHEMA: ClassVar[str] = "onnxbound.verification/2"

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

    def summary(self) -> str:
        return f"that holds: {self.statement}"

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        vacuous = " Its bound is no better than guessing." if self.vacuous else ""
        lines = [f"The certificate verifies.{vacuous}", "", self.statement, ""]
        for used in self.used:
            shape = " x ".join(map(str, used.shape))
            counted = f"{used.rows:,} rows count, {used.distinct:,} are distinct"
            lines += [f"  {used.role:13} {used.array}, {shape}; {counted}", f"  {'':13} sha256 {used.sha256}"]
        lines.append(f"  {'errors':13} {self.errors:,} counted here, {self.errors_claimed:,} are claimed")
        lines.append(f"  {'preprocessing':13} {self.preprocessing}")
        if self.architecture:
            lines.append(f"  {'bits':13} {self.bits:,}, {self.architecture_bits:,} of them for the architecture:")
            lines.append(f"  {'':13} {self.architecture}")
            lines.append(f"  {'files':13} every .onnx file there holds the network that is certified")
        lines += ["", "It assumes:", *(f"  - {text}" for text in self.assumptions)]
        print_prose(console, lines)


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
        VerificationError: certificate-malformed, or certificate-mismatch with the first thing that differs.
        UsageError: certificate-evidence, something is missing or plays no part.
        DataError: There is no such folder, or the rows cannot be read, do not fit, or are copies of each other.
        ModelError: The original network mixes rows, or has no logits.
        DeviceError: The runtime failed.
    """
    files = Path(folder)
    claims = Claims(read_document(files), delta)
    evidence.require_no_more_than(claims.object, known=unlabelled_known)
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
        integers = {} if code.difference else quantised(net.model, code)
        for name, content in {DECODED: net.to_bytes(), **integers}.items():
            if (files / name).exists() and content != read_file(files, name):
                raise other_network(name, f"the file that {CODE} describes", "its bytes differ", "do not deploy it")
        require_only(files, (CERTIFICATE, CODE, DECODED), tuple(integers))
        rows = given(evidence.data, "data")(net, code.preprocessing)
        seen, sources = 0, list[Source]()
        if claims.object == "prior":
            seen = given(evidence.prior_rows, "prior_rows")
            sources.append(Source("prior", model_hash(given(evidence.prior, "prior"))))
        first, counted = given_rows.without_first(rows, seen)
        used = [self._used("data", counted)]
        if seen:
            self._require_disjoint(counted, first, ("The rows that count", "those of the prior"))
        sources.append(Source("data", counted.fingerprint(), counted.count, rows.total))
        model, said, claimed = None, None, None
        fresh, again = counted, counted
        if claims.object == "original_unlabelled":
            model, opener = given(evidence.model, "model"), given(evidence.unlabelled, "unlabelled")
            preprocessing = evidence.preprocessing or Preprocessing()
            said = preprocessing_in_words(preprocessing)
            fresh, again = opener(net, code.preprocessing), opener(ByFile.of(model), preprocessing)
            used.append(self._used("unlabelled", fresh))
            self._require_disjoint(fresh, counted, ("The unlabelled rows", "the labelled ones"))
            sources.append(Source("unlabelled", used[-1].sha256, fresh.count, fresh.total))
            claimed = Disagreements(fresh.count, claims.disagreements, self.known)
        certificate = Certificate(
            statement=_statement(claims, counted, 8 * len(data), net.classes, claimed),
            code=CodeFile.of(data, code, written),
            sources=tuple(sources),
            preprocessing=preprocessing_said(code, said),
            reading=reading_of(evidence.labels_start, model),
            model=None if model is None else {"sha256": model_hash(model)},
        )
        self._compare(certificate)
        found = errors(self.evaluate(net, counted), counted.labels)
        claims.require_errors(found, counted.count)
        if model is not None:
            apart = disagreements(self.evaluate(model, again), self.evaluate(net, fresh))
            claims.require_disagreements(apart, fresh.count)
        return self._verification(certificate, found, used, architecture_bits(code.architecture))

    def holdout(self) -> Verification:
        claims, evidence = self.claims, self.evidence
        original = given(evidence.model, "model")
        preprocessing = evidence.preprocessing or Preprocessing()
        rows = given(evidence.holdout, "holdout")(ByFile.of(original), preprocessing)
        used = [self._used("holdout", rows)]
        certificate = Certificate(
            statement=_statement(claims, rows, 0, original.classes, None),
            code=None,
            sources=(Source("holdout", rows.fingerprint(), rows.count, rows.total),),
            preprocessing=preprocessing_said(None, preprocessing_in_words(preprocessing)),
            reading=reading_of(evidence.labels_start, original),
            model={"sha256": model_hash(original)},
        )
        self._compare(certificate)
        found = errors(self.evaluate(original, rows), rows.labels)
        claims.require_errors(found, rows.count)
        return self._verification(certificate, found, used, 0)

    def _used(self, role: str, rows: Rows) -> Used:
        values = given_rows.distinct(rows)
        given_rows.require_distinct(rows, values, role, repeated=self.repeated)
        array = rows.array
        return Used(role, array.name, tuple(array.shape), rows.fingerprint(), rows.count, len(values))

    def _require_disjoint(self, one: Rows, other: Rows, roles: tuple[str, str]) -> None:
        values = given_rows.distinct(one), given_rows.distinct(other)
        given_rows.require_disjoint(*values, roles, repeated=self.repeated)

    def _prior(self, code: NetworkCode) -> dict[str, NDArray[np.float32]] | None:
        """The tensors of the prior, which has to have the code's architecture."""
        if not code.difference:
            return None
        described = describe(given(self.evidence.prior, "prior"))
        if not same_architecture(described.architecture, code):
            raise other_network("prior", f"of the architecture that {CODE} describes")
        if is_the_prior(code):
            raise other_network("prior", "a network that has seen fewer rows: it is the one that is certified")
        return dict(described.tensors)

    def _compare(self, certificate: Certificate) -> None:
        """Every entry of the document against the one that was found out again, what others follow from first."""
        document, expected = self.claims.document, certificate.document()
        for name in ("inputs", "model", "code", *expected, *document):
            if name not in expected or name not in document:
                raise mismatch(name, "an entry more or less", "exactly the entries of a certificate")
            require_same(name, document[name], expected[name])

    def _verification(self, certificate: Certificate, found: int, used: list[Used], architecture: int) -> Verification:
        expected = certificate.document()
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


def _statement(claims: Claims, rows: Rows, bits: int, classes: int, apart: Disagreements | None) -> Statement:
    said = claims.document.get("rows")
    if isinstance(said, int) and said != rows.count:
        raise mismatch("rows", f"{said:,}", f"{rows.count:,} in what was given", "give the rows that it is about")
    if not claims.errors <= rows.count:
        raise mismatch("errors", f"{claims.errors}", f"{rows.count} rows")
    if apart is not None and apart.count > apart.rows:
        raise mismatch("disagreements", f"{apart.count}", f"{apart.rows} rows")
    return Statement(
        object=claims.object,
        rows=rows.count,
        errors=claims.errors,
        bits=bits,
        delta=claims.delta,
        classes=classes,
        commonest=int(np.bincount(rows.labels).max()),
        disagreements=apart,
    )
