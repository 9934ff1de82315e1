"""A certificate as people are shown it: its claims, which only verification can confirm."""

from dataclasses import dataclass
from typing import ClassVar

from onnxbound.certificates.certificate import SCHEMA, Event
from onnxbound.certificates.statement import Object
from onnxbound.documents.viewed import Viewed
from onnxbound.report.view import Facts, Section, Table, View, command
from onnxbound.version import __version__
from onnxbound.words import percent

_OF_THE_CODE = ("compressed", "prior")
"""Objects whose statement is about the network in the code."""


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

    def summary(self) -> str:
        return f"of {self.rows:,} rows: {self.statement}"

    def view(self) -> View:
        facts = (
            ("bits", f"{self.bits:,}, including the architecture"),
            ("train error", f"{percent(self.errors / self.rows)}: {self.errors:,} of {self.rows:,} rows"),
            ("chance", percent(self.chance)),
            ("preprocessing", self.preprocessing or "none"),
        )
        ledger = tuple((event.event, f"{event.delta:g}") for event in self.delta_ledger)
        return View(
            title="Certificate",
            about=Facts(
                (
                    ("certificate", self.object.replace("_", " ")),
                    ("this network", "decoded.onnx" if self.object in _OF_THE_CODE else "the original"),
                    ("rows", f"{self.rows:,}"),
                )
            ),
            verdict=(self.statement,),
            sections=(
                Section("What the bound is computed from", (Facts(facts),)),
                Section("What may fail", (Table("Probability of each failure", ("event", "delta"), ledger),)),
            ),
            caveats=("This is what the certificate claims. onnxbound has not verified it here.", *self.assumptions),
            next_steps=(("to verify it", command("verify", "CERTIFICATE", data="TRAIN.npz")),),
            version=__version__,
        )
