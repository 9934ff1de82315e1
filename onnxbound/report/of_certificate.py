"""A certificate as people are shown it: its claims, which only verification can confirm."""

from dataclasses import dataclass
from typing import ClassVar

from onnxbound.certificates.certificate import SCHEMA, CodeFile, Event, Source
from onnxbound.certificates.statement import Object
from onnxbound.documents.viewed import Viewed
from onnxbound.report.view import Facts, Section, Table, View, command
from onnxbound.version import __version__
from onnxbound.words import percent

_ABOUT = {
    "compressed": "the network in code.bin, written out as decoded.onnx; not the original",
    "prior": "the network in code.bin, a difference from a prior network, written out as decoded.onnx",
    "original_unlabelled": "the original network, by fresh rows without labels",
    "holdout": "the original network, by hold-out rows",
}


@dataclass(frozen=True, slots=True, repr=False)
class StatedCertificate(Viewed):
    """The part of certificate.json that people read; the other keys are for verifiers."""

    SCHEMA: ClassVar[str] = SCHEMA

    statement: str
    object: Object
    assumptions: tuple[str, ...]
    rows: int
    errors: int
    bits: int
    delta: float
    delta_ledger: tuple[Event, ...]
    bound: float
    vacuous: bool
    chance: float
    classes: int
    preprocessing: str
    code: CodeFile | None = None
    inputs: tuple[Source, ...] = ()

    def summary(self) -> str:
        return f"of {self.rows:,} rows: {self.statement}"

    def view(self) -> View:
        facts = (
            ("bits", f"{self.bits:,}, including the architecture"),
            ("errors", f"{percent(self.errors / self.rows)}: {self.errors:,} of {self.rows:,} rows"),
            ("chance", percent(self.chance)),
            ("preprocessing", self.preprocessing or "none"),
            *([("architecture", self.code.architecture)] if self.code else []),
            *((f"{source.role} SHA-256", f"{source.sha256}, {source.rows:,} rows") for source in self.inputs),
        )
        ledger = tuple((event.event, f"{event.delta:g}") for event in self.delta_ledger)
        return View(
            title="Certificate",
            about=Facts(
                (
                    ("this network", _ABOUT[self.object]),
                    ("rows", f"{self.rows:,}"),
                )
            ),
            verdict=(self.statement,),
            sections=(
                Section("What the bound is computed from", (Facts(facts),)),
                Section(
                    "How likely it is that the statement is false",
                    (Table("What may go wrong by chance", ("what", "probability at most"), ledger),),
                ),
            ),
            caveats=(
                "This is what the certificate claims. onnxbound has not verified it here.",
                *(f"It assumes: {assumption}" for assumption in self.assumptions),
            ),
            next_steps=(("to verify it", command("verify", "CERTIFICATE", data="TRAIN.npz")),),
            version=__version__,
        )
