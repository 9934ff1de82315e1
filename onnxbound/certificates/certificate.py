"""The document of a certificate: a function of what can be found out again, and of a few claims."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.statement import Disagreements, Object, Statement
from onnxbound.codec.network_code import VERSION_WITH_SKELETON, version_of

SCHEMA = "onnxbound.certificate/1"


@dataclass(frozen=True, slots=True)
class Event:
    """What may fail, and with which probability."""

    event: str
    delta: float


@dataclass(frozen=True, slots=True)
class CodeFile:
    """code.bin, and the version of the decoder that reads it."""

    sha256: str
    decoder_version: int


@dataclass(frozen=True, slots=True)
class SkeletonFile:
    """skeleton.onnx, and the seed that is public with it; no decoder so far uses one."""

    sha256: str
    seed: int


@dataclass(frozen=True, slots=True)
class Document:
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
    tau: float
    vacuous: bool
    chance: float
    classes: int
    code: CodeFile | None
    skeleton: SkeletonFile | None
    inputs: tuple["Source", ...]
    preprocessing: dict[str, Any]
    seed: int
    model: dict[str, Any]
    baselines: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that the statement rests on.

    Attributes:
        role: "data", "unlabelled", "holdout", "prior" or "prior_rows".
        sha256: Of a model the file's, of rows that of `Rows.fingerprint`.
        rows: Rows used; None of a model.
        total: Rows in the file; more than `rows` only for a sub-sample or where the prior's rows are left out.
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
        tau: Slack with which errors were counted.
        code: None for hold-out rows, where nothing is coded.
        skeleton: Likewise.
        sources: The files behind it.
        preprocessing: As `split` says it, with the name of the model's input.
        seed: Of the sub-sample, and of nothing else.
        model: SHA-256 of the original network and its errors on the rows.
        baselines: What the bound is to be compared with.
    """

    statement: Statement
    tau: float
    code: CodeFile | None
    skeleton: SkeletonFile | None
    sources: tuple[Source, ...]
    preprocessing: dict[str, Any]
    seed: int
    model: dict[str, Any]
    baselines: tuple[dict[str, Any], ...]

    def document(self) -> dict[str, Any]:
        """As JSON, without its checksum."""
        s = self.statement
        document = Document(
            statement=s.sentence(),
            object=s.object,
            assumptions=assumptions(s.object, subsample=self._subsample, skeleton_charged=self._charged),
            rows=s.rows,
            errors=s.errors,
            bits=s.bits,
            delta=float(s.delta),
            delta_ledger=tuple(Event(event, float(delta)) for event, delta in s.ledger),
            disagreements=s.disagreements,
            bound=float(s.bound),
            tau=self.tau,
            vacuous=s.vacuous,
            chance=float(s.chance),
            classes=s.classes,
            code=self.code,
            skeleton=self.skeleton,
            inputs=self.sources,
            preprocessing=self.preprocessing,
            seed=self.seed,
            model=self.model,
            baselines=self.baselines,
        )
        return {"schema": SCHEMA, **_lists(asdict(document))}

    @property
    def _subsample(self) -> bool:
        removed = sum(x.rows or 0 for x in self.sources if x.role == "prior_rows")
        return any(x.role == "data" and (x.rows or 0) + removed < (x.total or 0) for x in self.sources)

    @property
    def _charged(self) -> bool:
        return self.code is not None and self.code.decoder_version == VERSION_WITH_SKELETON


def files_of(code: bytes, skeleton: bytes) -> tuple[CodeFile, SkeletonFile]:
    """What a certificate says of its two files, from their content."""
    return (
        CodeFile(sha256(code).hexdigest(), version_of(code)),
        SkeletonFile(sha256(skeleton).hexdigest(), seed=0),
    )


def assumptions(kind: Object, *, subsample: bool, skeleton_charged: bool) -> tuple[str, ...]:
    """What the statement takes for granted; nobody can check it from the files."""
    what = {
        "compressed": "The rows",
        "original_unlabelled": "The rows, and the unlabelled rows,",
        "holdout": "The hold-out rows",
        "prior": "The rows",
    }[kind]
    found = [
        f"{what} were drawn independently from the distribution of new rows; none was dropped, filtered or repeated.",
        "Delta and the kind of certificate were chosen without looking at the rows; each of N needs delta / N.",
        "The statement is about the network as one runtime, named without looking at the rows, evaluates it.",
    ]
    if kind != "holdout":
        form = "the layout of the rows, and whether they are scaled by 1/255 and normalised,"
        what = form.capitalize() if skeleton_charged else f"The skeleton, the network's architecture, {form}"
        found.append(f"{what} were chosen without looking at the rows.")
    if subsample:
        found.append("The sub-sample of the file, and its seed, were chosen without looking at the rows.")
    if kind == "original_unlabelled":
        found.append("The unlabelled rows were drawn after the original and the decoded network were fixed.")
    if kind == "holdout":
        found.append("The network was fixed before the hold-out rows were looked at: no early stopping, no choice.")
    if kind == "prior":
        found.append("The prior has seen no row but those declared, which were chosen without looking at them.")
    return tuple(found)


def holdout_baseline(subject: str, errors: int, rows: int, delta: Decimal) -> dict[str, Any]:
    """What hold-out rows say of a network: the one-sided interval of Clopper and Pearson, at a delta of its own."""
    bound = error_bound(errors, rows, 0, delta)
    return {"name": f"{subject} network on hold-out rows", "rows": rows, "errors": errors, "bound": float(bound)}


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
