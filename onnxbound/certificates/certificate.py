"""The document of a certificate: a function of what a verifier finds out again, and of two counts."""

import hashlib
from dataclasses import asdict, dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

import numpy as np

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.statement import Disagreements, Object, Statement
from onnxbound.codec.network_code import NetworkCode, version_of
from onnxbound.codec.words_said import architecture_in_words, preprocessing_in_words
from onnxbound.graph.network import Network
from onnxbound.words import at_most

SCHEMA = "onnxbound.certificate/2"

_TUNED_ON = "MNIST and CIFAR-10"
"""The data sets on which the format's tables were tuned."""


@dataclass(frozen=True, slots=True)
class Event:
    """What may fail, and with which probability."""

    event: str
    delta: float


@dataclass(frozen=True, slots=True)
class CodeFile:
    """code.bin, what is in it, and the file that is written from it."""

    sha256: str
    decoder_version: int
    architecture: str
    decoded_sha256: str

    @classmethod
    def of(cls, data: bytes, code: NetworkCode, model: bytes) -> "CodeFile":
        """From the content of the two files."""
        words = architecture_in_words(code.architecture)
        return cls(sha256(data).hexdigest(), version_of(data), words, sha256(model).hexdigest())


@dataclass(frozen=True, slots=True)
class CertificateDocument:
    """certificate.json, less its checksum."""

    statement: str
    object: Object
    assumptions: tuple[str, ...]
    rows: int
    errors: int
    bits: int
    delta: float
    delta_ledger: tuple[Event, ...]
    disagreements: Disagreements | None
    bound: float
    vacuous: bool
    chance: float
    classes: int
    code: CodeFile | None
    inputs: tuple["Source", ...]
    preprocessing: str
    reading: dict[str, Any]
    model: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Source:
    """A file that the statement rests on.

    Attributes:
        role: "data", "unlabelled", "holdout" or "prior".
        sha256: Of a model `model_hash`, of rows `Rows.fingerprint`.
        rows: Rows that count; None of a model.
        total: Rows in the file; more than `rows` only where the prior's rows are left out.
    """

    role: str
    sha256: str
    rows: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """Everything that certificate.json says.

    Attributes:
        statement: The bound.
        code: None for hold-out rows, where nothing is coded.
        sources: The files behind it.
        preprocessing: Of the rows, in words; where the original network plays a part, its own behind a semicolon.
        reading: What the verifier says of how files are read.
        model: The hash of the original network, where the statement is about it.
    """

    statement: Statement
    code: CodeFile | None
    sources: tuple[Source, ...]
    preprocessing: str
    reading: dict[str, Any]
    model: dict[str, str] | None

    def document(self) -> dict[str, Any]:
        """As JSON, without its checksum."""
        s = self.statement
        document = CertificateDocument(
            statement=s.sentence(),
            object=s.object,
            assumptions=assumptions(s.object, known=s.disagreements is not None and s.disagreements.known),
            rows=s.rows,
            errors=s.errors,
            bits=s.bits,
            delta=float(s.delta),
            delta_ledger=tuple(Event(event, float(delta)) for event, delta in s.ledger),
            disagreements=s.disagreements,
            bound=float(s.bound),
            vacuous=s.vacuous,
            chance=float(s.chance),
            classes=s.classes,
            code=self.code,
            inputs=self.sources,
            preprocessing=self.preprocessing,
            reading=self.reading,
            model=self.model,
        )
        return {"schema": SCHEMA, **_lists(asdict(document))}


def assumptions(kind: Object, *, known: bool = False) -> tuple[str, ...]:
    """What the statement takes for granted; nobody can check it from the files."""
    what = {"original_unlabelled": "The rows, and the unlabelled rows,", "holdout": "The hold-out rows"}
    found = [
        f"{what.get(kind, 'The rows')} were drawn independently from what the statement is about; none was dropped.",
        "Delta, the kind of statement and how files are read were fixed before the rows were looked at.",
        "Several statements at once are all true with the probability that is left when their deltas are added up.",
        "A row counts as an error too if no logit leads the others by 2^-14 of the largest; new rows are judged alike.",
    ]
    if kind != "holdout":
        found.append(
            f"The format was fixed without these rows; its tables were tuned on nets for {_TUNED_ON}, for whose rows"
            " that is not quite so."
        )
    if kind == "original_unlabelled":
        fixed = "The original network was" if known else "The original and the decoded network were"
        found.append(f"{fixed} fixed before the unlabelled rows were drawn.")
    if kind == "holdout":
        found.append("The network and its preprocessing were fixed before the hold-out rows were looked at.")
    if kind == "prior":
        found.append("The prior has seen no row but those declared, which are the first of the file.")
    return tuple(found)


def reading_of(labels_start: int, network: Network | None = None) -> dict[str, Any]:
    """How files are read: the label of the first class, and for an original network its logits and held inputs."""
    return {"labels_start": labels_start, **({} if network is None else network.reading.to_json())}


def preprocessing_said(code: NetworkCode | None, original: str | None) -> str:
    """The preprocessing of the decoded network and that of the original one, as far as they play a part."""
    own = [] if code is None else [preprocessing_in_words(code.preprocessing)]
    return "; ".join([*own, *([] if original is None else [f"of the original network: {original}"])])


def model_hash(network: Network) -> str:
    """SHA-256 of a model's file and of everything that it keeps in other files."""
    digest = hashlib.sha256(network.sha256.encode())
    for name, values in sorted(network.external.items()):
        array = np.ascontiguousarray(values)
        digest.update(f"{name!r} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def holdout_baseline(subject: str, errors: int, rows: int, delta: Decimal) -> str:
    """What hold-out rows say of a network: the one-sided interval of Clopper and Pearson, at a delta of its own."""
    bound = at_most(error_bound(errors, rows, 0, delta), 100)
    return f"{subject} network on {rows:,} hold-out rows: {errors:,} errors, error at most {bound} %"


def decimal_of(number: float) -> Decimal:
    """The decimal that a JSON number spells.

    >>> decimal_of(0.05)
    Decimal('0.05')
    """
    return Decimal(repr(number))


def _lists(value: Any) -> Any:
    """Tuples as the lists that JSON has."""
    if isinstance(value, dict):
        return {name: _lists(entry) for name, entry in value.items()}
    return [_lists(entry) for entry in value] if isinstance(value, list | tuple) else value
