"""What a certificate is asked for, and what comes of it."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from onnxbound.certificates.certificate import SCHEMA
from onnxbound.certificates.task import Symmetry, Targets
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.documents.document import Document, print_prose
from onnxbound.errors import UsageError, argument
from onnxbound.graph.network import Network
from onnxbound.words import percent

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN = re.compile(r"[\w./~+@-]+")
"""A path, or a number, that is one word in any shell."""


@dataclass(frozen=True, slots=True)
class Original:
    """The network that was given: its parameters, the share of the rows on which it errs, the bytes of its file."""

    parameters: int
    error: float
    file_bytes: int

    @classmethod
    def of(cls, network: Network, error: float) -> "Original":
        """Of a network that errs on this share."""
        return cls(network.parameters, error, network.path.stat().st_size)


@dataclass(frozen=True, slots=True, repr=False)
class Certified(Document):
    """What was written.

    Attributes:
        document: Of certificate.json.
        verified_with: How it is verified.
        interrupted: Whether the search was stopped before its end.
        files: Name to size in bytes of every file in the folder; none for a trial on some of the rows.
        original: The original network, for comparison.
        baselines: What hold-out rows say, in words, for comparison.
    """

    SCHEMA: ClassVar[str] = SCHEMA

    document: Mapping[str, Any]
    verified_with: str
    interrupted: bool
    files: Mapping[str, int]
    original: Original
    baselines: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**self.document, "files": dict(self.files)}

    def summary(self) -> str:
        return f"of {self.document['rows']:,} rows: {self.document['statement']}"

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        said, original = self.document, self.original
        lines = [said["statement"], ""]
        if said["object"] != "holdout":
            error = said["errors"] / said["rows"]
            each = f"{said['bits'] / original.parameters:.2f} per parameter, the architecture among them"
            lines += [
                "  this network is decoded.onnx, not the original:",
                f"  {said['code']['architecture']}",
                f"  code            {said['bits']:>9,} bits, {each}",
                f"  training error  {percent(error):>9} of this network; the original: {percent(original.error)}",
                f"  original file   {original.file_bytes:>9,} bytes",
            ]
            lines += [
                f"  {name:17} {size:>7,} bytes, {percent(size / original.file_bytes)} of the original"
                for name, size in self.files.items()
                if name.startswith(("code", "decoded"))
            ]
        lines += [f"  {text}" for text in self.baselines]
        if said["vacuous"]:
            lines += ["", "The bound is no better than guessing: do not deploy this network."]
        lines += ["", "It assumes:", *(f"  - {text}" for text in said["assumptions"]), ""]
        if self.files:
            lines.append(f"Verify it: {self.verified_with}")
        else:
            lines.append("A trial on some of the rows: nothing was written, for a choice of rows proves nothing.")
        print_prose(console, lines)


def verified_with(
    document: Mapping[str, Any], folder: Path, given: Mapping[str, object], preprocessing: Preprocessing
) -> str:
    """How a certificate is verified: its folder, and what a verifier has to give besides, as parameters of `verify`.

    Args:
        document: Of certificate.json.
        folder: Where it lies.
        given: The files by the names of the parameters; what has none, or one that a shell would take apart, is FILE.
        preprocessing: What is done to the rows of the original network first.
    """
    usual = asdict(Preprocessing())
    how = [argument(name, value) for name, value in asdict(preprocessing).items() if value != usual[name]]
    words = {name: str(value) for name, value in given.items() if _PLAIN.fullmatch(str(value))}

    def said(name: str, unknown: str = "FILE") -> str:
        return f"`{name}={words.get(name, unknown)}`"

    of_model = " ".join((said("model", "MODEL"), *how))
    needed = {
        "compressed": said("rows"),
        "original_unlabelled": f"{said('rows')} {said('unlabelled')} {of_model}",
        "holdout": f"{said('holdout')} {of_model}",
        "prior": f"{said('rows')} {said('prior', 'MODEL')} {said('prior_rows', 'N')}",
    }[document["object"]]
    delta = "" if document["delta"] == 0.05 else f" `delta={document['delta']}`"
    return f"onnxbound verify {shlex.quote(str(folder))} {needed}{delta}"


def probability(delta: Decimal | float | str) -> Decimal:
    """A probability with which a statement may be false, as the decimal that it is written as.

    >>> probability(0.05), probability("1e-3")
    (Decimal('0.05'), Decimal('0.001'))
    """
    try:
        exact = Decimal(repr(float(Decimal(str(delta)))))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise UsageError("usage", f"`delta` takes a number, not {delta!r}.") from error
    if exact.is_nan() or not 0 < exact < 1:
        raise UsageError("usage", f"`delta` must lie between 0 and 1, and is {delta}.")
    return exact


@dataclass(frozen=True, slots=True)
class CertificateOptions:
    """The options of `certify`.

    Attributes:
        delta: Largest probability that the statement is false. A float counts as the decimal that it prints as.
        effort: How long to search, from 1 to 9. Effort 1 takes about a fifth of the time of 5, but gives a worse bound.
        seed: The seed of the search.
        threads: Number of threads; None for all cores.
        force: Whether to overwrite existing files.
        labels_start: The label of the first class, as given to `open_rows`.
        unlabelled_known: Whether the unlabelled rows may have been known during the search, as with a public test
            set. The code's bits then count twice.
        repeated_rows: Whether duplicate rows are allowed.
        targets: What the search fits: the network's own "outputs", or the "labels" (this trains the network).
        symmetry: With "mirror", the decoded network averages the logits of an image and its mirror image; with "none",
            it uses the image alone. "auto" takes the one with which the trained network errs less. With a prior or
            unlabelled rows, "auto" means "none".

    >>> from onnxbound import CertificateOptions
    >>> CertificateOptions(effort=1).seed
    0
    """

    delta: Decimal = Decimal("0.05")
    effort: int = 5
    seed: int = 0
    threads: int | None = None
    force: bool = False
    labels_start: int = 0
    unlabelled_known: bool = False
    repeated_rows: bool = False
    targets: Targets = "outputs"
    symmetry: Symmetry = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", probability(self.delta))
        if not 1 <= self.effort <= 9:
            raise UsageError("usage", f"`effort` must be 1 to 9, not {self.effort}.")
        if self.threads is not None and self.threads < 1:
            raise UsageError("usage", f"`threads` must be at least 1, not {self.threads}.")
        if self.targets not in get_args(Targets):
            raise UsageError("usage", f"`targets` must be outputs or labels, not {self.targets!r}.")
        if self.symmetry not in get_args(Symmetry):
            raise UsageError("usage", f"`symmetry` must be auto, none or mirror, not {self.symmetry!r}.")
        if self.seed < 0:
            raise UsageError("usage", f"`seed` must be at least 0, not {self.seed}.")
