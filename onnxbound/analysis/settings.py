"""What an analysis is asked for."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from onnxbound.errors import UsageError
from onnxbound.graph.network import Network
from onnxbound.linear.engine import EngineName
from onnxbound.linear.programme import EXACT_CLASSES, Form, Programme
from onnxbound.stability.batches import DEFAULT_MEMORY

_NOISE_PROBES = 4
"""Noise vectors for smoothness where the Jacobians are exact and need none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure, with the defaults of every command.

    Attributes:
        form: "affine" keeps biases in the signal, "linear" is [A] as printed.
        measured: Rows behind the Jacobian properties, drawn uniformly; None for all.
        probes: Noise vectors per layer and row, or "exact" for exact Jacobians of all pairs.
        pairs: All pairs of layers, or only those with the output.
        noise: What smoothness is measured with: gaussian noise, or what compression really changes.
        noise_radius: |eta| / |x^i| of gaussian noise.
        projections: k per layer of the compression; None for Theorem 4.1's own.
        gamma: The margin; None takes a quantile.
        gamma_quantile: Which quantile of the margins.
        delta: Probability with which an explicit bound may fail.
        zeta: Share of the rows that [A]'s conditions may leave out.
        seed: Of the rows drawn and of the noise.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Threads of onnxruntime; None for all cores.
        engine: What evaluates the programme: "numpy", "onnxruntime", or "auto" for the faster one.
        memory: Bytes that the process may take; they set how many rows go at a time.
        worst: How many of the worst rows are listed.
    """

    form: Form = "affine"
    measured: int | None = 1000
    probes: int | Literal["exact"] = 4
    pairs: Literal["all", "output"] = "all"
    noise: Literal["gaussian", "compression"] = "gaussian"
    noise_radius: float = 0.1
    projections: int | None = None
    gamma: float | None = None
    gamma_quantile: float = 0.05
    delta: float = 0.05
    zeta: float = 0.0
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    engine: Literal["auto"] | EngineName = "auto"
    memory: int = DEFAULT_MEMORY
    worst: int = 0

    def __post_init__(self) -> None:
        checks = {
            "--measured takes a number of at least 1, or all": self.measured is None or self.measured >= 1,
            "--probes takes a number of at least 1, or exact": self.probes == "exact" or self.probes >= 1,
            "--noise takes gaussian:R with R > 0": 0 < self.noise_radius < np.inf,
            "--noise takes compression:K with K >= 1": self.projections is None or self.projections >= 1,
            "--noise compression goes with --form affine and --pairs all": self.noise == "gaussian"
            or (self.form == "affine" and self.pairs == "all"),
            "--gamma takes a positive number": self.gamma is None or 0 < self.gamma < np.inf,
            "--gamma-quantile takes a number between 0 and 1": 0 < self.gamma_quantile < 1,
            "--delta takes a number between 0 and 1": 0 < self.delta < 1,
            "--zeta takes a number from 0 to less than 1": 0 <= self.zeta < 1,
            "--seed takes a number from 0 to 2^64 - 1": 0 <= self.seed < 2**64,
            "--worst takes a number of at least 0": self.worst >= 0,
            "--threads takes a number of at least 1": self.threads is None or self.threads >= 1,
        }
        for complaint, fine in checks.items():
            if not fine:
                raise UsageError("usage", f"{complaint}.")

    def programme(self, network: Network) -> Programme:
        """What to measure at each row."""
        return Programme(
            form=self.form,
            probes=_NOISE_PROBES if self.probes == "exact" else self.probes,
            exact_pairs=self.probes == "exact",
            exact_output=network.classes <= EXACT_CLASSES,
            radius=self.noise_radius,
            output_only=self.pairs == "output",
            seed=self.seed,
        )
