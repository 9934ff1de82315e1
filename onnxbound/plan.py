"""`--dry-run`: what an analysis would do, and how long it would take."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any

from onnxbound.analysis import Settings
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import plan_exact_pairs
from onnxbound.report.report import plain
from onnxbound.rng import select_rows
from onnxbound.run.device import resolve_device
from onnxbound.run.environment import peak_rss_bytes
from onnxbound.run.forward import ForwardPass
from onnxbound.stability.collect import forward_batch, measure_rows, silent, sweep_batch


@dataclass(frozen=True, slots=True)
class Plan:
    """An analysis before it is run.

    Attributes:
        rows: m, each through one forward pass.
        measured_rows: n, each through the whole programme.
        device: Where the forward passes run.
        forward_batch: Rows per forward pass.
        sweep_batch: Rows per sweep.
        jacobian_products: Products with J per measured row, where they are exact.
        estimated_seconds: Wall time, extrapolated from one batch of each kind.
        estimated_peak_bytes: Resident memory after those batches.
    """

    rows: int
    measured_rows: int
    device: str
    forward_batch: int
    sweep_batch: int
    jacobian_products: int
    estimated_seconds: float
    estimated_peak_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"schema": "onnxbound.plan/1", **plain(self)}

    def in_words(self) -> str:
        """For people."""
        memory = "unknown" if self.estimated_peak_bytes is None else f"{self.estimated_peak_bytes / 2**20:,.0f} MiB"
        return (
            f"forward passes   {self.rows:,} rows on {self.device}, {self.forward_batch} at a time\n"
            f"sweeps           {self.measured_rows:,} rows, {self.sweep_batch} at a time\n"
            f"exact Jacobians  {self.jacobian_products:,} products per measured row\n"
            f"estimated time   {self.estimated_seconds:,.0f} s\n"
            f"estimated memory {memory}\n"
        )


def plan(network: Network, rows: Rows, settings: Settings) -> Plan:
    """Time one batch of forward passes and one of sweeps, and extrapolate."""
    network.require_finite_weights()
    device, programme = resolve_device(settings.device), settings.programme(network)
    forward = ForwardPass(network, device, settings.threads, without_bias=settings.form == "linear")
    measured = rows.count if settings.measured is None else min(settings.measured, rows.count)
    products = network.classes if programme.exact_output else 0
    products += plan_exact_pairs(network).products if programme.exact_pairs else 0

    batch = next(rows.batches(forward_batch(network)))
    forward.run(batch.inputs)
    started = perf_counter()
    forward.run(batch.inputs)
    per_row = (perf_counter() - started) / len(batch.index)

    few = 1 if programme.exact_pairs else sweep_batch(network, programme)
    index = rows.index[select_rows(settings.seed, rows.count, min(few, measured))]
    started = perf_counter()
    measure_rows(network, programme, forward, rows, index, silent)
    per_measured = (perf_counter() - started) / len(index)
    return Plan(
        rows=rows.count,
        measured_rows=measured,
        device=device.name,
        forward_batch=network.batch or forward_batch(network),
        sweep_batch=sweep_batch(network, programme),
        jacobian_products=products,
        estimated_seconds=per_row * rows.count + per_measured * measured,
        estimated_peak_bytes=peak_rss_bytes(),
    )
