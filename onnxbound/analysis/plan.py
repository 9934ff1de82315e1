"""`plan`: what an analysis would do, and how long it would take."""

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from onnxbound.analysis import budget
from onnxbound.analysis.prepare import prepare
from onnxbound.analysis.settings import Settings
from onnxbound.bounds.norms import norms_of_layers
from onnxbound.data.rows import Rows
from onnxbound.documents.document import Document
from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import plan_exact_pairs
from onnxbound.linear.programme import EXACT_CLASSES
from onnxbound.run.device import resolve_device
from onnxbound.run.environment import peak_rss_bytes
from onnxbound.words import counted

if TYPE_CHECKING:
    from rich.console import Console

_MANY_LAYERS = 50


@dataclass(frozen=True, slots=True, repr=False)
class Plan(Document):
    """What an analysis would do.

    Attributes:
        rows: m, each through one forward pass.
        measured_rows: n, each through the whole programme.
        device: Where the forward passes run.
        engine: What evaluates the programme.
        forward_batch: Rows per forward pass.
        sweep_batch: Rows per sweep.
        jacobian_products: Products with J per measured row, where they are exact.
        estimated_seconds: Wall time, extrapolated from one batch of each kind.
        estimated_peak_bytes: Resident memory after those batches.
        notes: Sentences about what many classes or layers cost.
    """

    SCHEMA: ClassVar[str] = "onnxbound.plan/1"

    rows: int
    measured_rows: int
    device: str
    engine: str
    forward_batch: int
    sweep_batch: int
    jacobian_products: int
    estimated_seconds: float
    estimated_peak_bytes: int | None
    notes: tuple[str, ...]

    def summary(self) -> str:
        return f"of {self.measured_rows:,} of {counted(self.rows, 'row')}, about {self.estimated_seconds:,.0f} s"

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        memory = "unknown" if self.estimated_peak_bytes is None else f"{self.estimated_peak_bytes / 2**20:,.0f} MiB"
        console.out(
            f"forward passes   {counted(self.rows, 'row')} on {self.device}, {self.forward_batch} at a time\n"
            f"sweeps           {self.measured_rows:,} rows by {self.engine}, {self.sweep_batch} at a time\n"
            f"exact Jacobians  {self.jacobian_products:,} products per measured row\n"
            f"estimated time   {self.estimated_seconds:,.0f} s\n"
            f"estimated memory {memory}" + "".join(f"\nnote: {note}" for note in self.notes),
            highlight=False,
        )


def plan(network: Network, rows: Rows, settings: Settings) -> Plan:
    """Time one batch of forward passes and one of sweeps, and extrapolate."""
    network.require_finite_weights()
    device, asked = resolve_device(settings.device), settings
    there, sets = [rows], budget.passed_in_time(network, [rows], settings, device)
    (rows,) = sets
    work, choice = prepare(network, rows, settings, device)
    started = perf_counter()
    norms_of_layers(network.layers, settings.threads)
    seconds = budget.trial(work, rows, settings, perf_counter() - started, choice.seconds)
    if budget.needs_trial(network, rows.count, asked):
        settings = budget.within(seconds, rows.count, asked)
    programme = work.arrangement.programme
    measured = settings.rows_to_measure(rows.count)
    products = network.classes if programme.exact_output else 0
    products += plan_exact_pairs(network, programme).products
    return Plan(
        rows=rows.count,
        measured_rows=measured,
        device=device.name,
        engine=work.engine.name,
        forward_batch=work.arrangement.batches.forward,
        sweep_batch=work.arrangement.batches.sweep,
        jacobian_products=products,
        estimated_seconds=seconds.seconds(rows.count, measured),
        estimated_peak_bytes=peak_rss_bytes(),
        notes=(*costs(network, settings), *budget.in_words(asked, settings, there, sets)),
    )


def costs(network: Network, settings: Settings) -> tuple[str, ...]:
    """Sentences about what many classes or layers cost, or leave out; none for ordinary nets."""
    reasons = []
    if network.classes > EXACT_CLASSES:
        reasons.append(
            f"with {network.classes:,} classes, more than {EXACT_CLASSES}, exact Jacobians to the logits would take"
            f" {network.classes:,} products per row: |J|_F there is estimated, and beta and arora are null"
        )
    depth = network.depth
    if depth > _MANY_LAYERS and settings.pairs == "all":
        pairs = sum(network.has_path(i, j) for i in range(1, depth) for j in range(i + 1, depth + 1))
        reasons.append(
            f"{depth} layers make {pairs:,} pairs, and the time of a measured row grows with the square of the depth:"
            " `plan` says how long it takes, a smaller `measured` makes it less"
        )
    return tuple(reasons)
