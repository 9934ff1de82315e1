"""The settings of an analysis."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from onnxbound.errors import UsageError, require_word
from onnxbound.graph.network import Network
from onnxbound.linear.engine import Asked
from onnxbound.linear.programme import EXACT_CLASSES, SMALL_SIDE, Form, Programme
from onnxbound.stability.batches import DEFAULT_MEMORY

Pairs = Literal["all", "output"]
Noise = Literal["gaussian", "compression"]
Precision = Literal["auto", "float32"]

DEFAULT_ROWS = 1000
"""Measured rows, if the caller names no number and there is time."""

LEAST_PROBES = 4
"""Noise vectors, if the caller names no number, or if the Jacobians are exact and need none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an analysis. The defaults are those of the command line.

    Attributes:
        form: "affine" includes biases in the signals. "linear" leaves them out, as [A] does.
        measured: Number of rows for Jacobians and the effects of noise, drawn uniformly. "all" or None means all rows,
            "auto" means at most 1,000, as `time` allows.
        time: Target time in seconds for runs of over a minute; None for no limit. It applies only if `measured` is
            "auto". To meet it, fewer rows are measured: from 500 down to 10. If a forward pass of all rows would take
            more than half of the time, a uniform sample of at least 1,000 rows replaces them.
        probes: Noise vectors per layer and row. "auto" means 4, or up to 64 if an estimate of |J|_F has a standard
            error above 10 % and time allows. "exact" computes exact Jacobians of all pairs of layers instead.
        pairs: "all" pairs of layers, or only pairs with the "output".
        noise: The noise for smoothness: "gaussian", or the noise that "compression" makes.
        noise_radius: The norm of the Gaussian noise, divided by the norm of the signal.
        projections: With `noise="compression"`, the number of projections per layer; None for that of Theorem 4.1.
        gamma: The margin of the bounds; None for a quantile of the margins.
        gamma_quantile: The quantile to use if `gamma` is None.
        delta: Largest probability that a bound is false.
        zeta: Share of the rows that may violate a bound's conditions. It is added to the bound.
        seed: The seed of the sample of rows and of the noise.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Number of threads of onnxruntime; None for all cores.
        engine: What computes Jacobians and smoothness: "numpy", "onnxruntime", or "auto" for the faster one.
        precision: "float32" or "auto". On a GPU, "auto" uses half precision in the affine form if this is faster and
            changes no pair's estimates by more than 0.1 % (root mean square over a first batch).
        memory: Bytes that the process may use; they set the batch size. On a GPU, a quarter of its memory sets it.
        worst: How many rows of smallest margin, and of smallest cushion, to list.

    >>> from onnxbound import Settings
    >>> Settings(measured=100, probes="exact").probes
    'exact'
    """

    form: Form = "affine"
    measured: int | Literal["auto", "all"] | None = "auto"
    time: float | None = 180.0
    probes: int | Literal["auto", "exact"] = "auto"
    pairs: Pairs = "all"
    noise: Noise = "gaussian"
    noise_radius: float = 0.1
    projections: int | None = None
    gamma: float | None = None
    gamma_quantile: float = 0.05
    delta: float = 0.05
    zeta: float = 0.0
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    engine: Asked = "auto"
    precision: Precision = "auto"
    memory: int = DEFAULT_MEMORY
    worst: int = 0

    def __post_init__(self) -> None:
        if self.measured == "all":
            object.__setattr__(self, "measured", None)
        words = {"form": Form, "pairs": Pairs, "noise": Noise, "engine": Asked, "precision": Precision}
        for name, allowed in words.items():
            require_word(name, getattr(self, name), get_args(allowed))
        counted = {
            "measured": '"auto", "all", None or',
            "probes": '"auto", "exact" or',
            "projections": "None or",
            "threads": "None or",
        }
        for name, others in counted.items():
            value = getattr(self, name)
            words_too = (("probes", "exact"), ("probes", "auto"), ("measured", "auto"))
            if not (is_count(value) or (value is None and "None" in others) or (name, value) in words_too):
                raise UsageError("usage", f"`{name}` must be {others} a whole number of at least 1, not {value!r}.")
        checks = {
            "`noise_radius` must be a positive number": 0 < self.noise_radius < np.inf,
            '`noise="compression"` goes with `form="affine"` and `pairs="all"`': self.noise == "gaussian"
            or (self.form == "affine" and self.pairs == "all"),
            "`gamma` must be a positive number": self.gamma is None or 0 < self.gamma < np.inf,
            "`gamma_quantile` must lie between 0 and 1": 0 < self.gamma_quantile < 1,
            "`delta` must lie between 0 and 1": 0 < self.delta < 1,
            "`zeta` must be at least 0 and less than 1": 0 <= self.zeta < 1,
            "`seed` must lie between 0 and 2^64 - 1": 0 <= self.seed < 2**64,
            "`time` must be None or a positive number": self.time is None or 0 < self.time < np.inf,
            "`worst` must be at least 0": self.worst >= 0,
        }
        for complaint, fine in checks.items():
            if not fine:
                raise UsageError("usage", f"{complaint}.")

    def rows_to_measure(self, rows: int) -> int:
        """Return how many of the given number of rows to measure."""
        most = DEFAULT_ROWS if self.measured == "auto" else self.measured
        return min(most, rows) if isinstance(most, int) else rows

    def programme(self, network: Network) -> Programme:
        """Return the quantities to measure on each row."""
        return Programme(
            form=self.form,
            probes=self.noise_vectors,
            exact_pairs=self.probes == "exact",
            exact_output=network.classes <= EXACT_CLASSES,
            radius=self.noise_radius,
            output_only=self.pairs == "output",
            seed=self.seed,
            small_side=SMALL_SIDE,
        )

    @property
    def noise_vectors(self) -> int:
        """The number of noise vectors, or the least number if it is not decided yet."""
        return LEAST_PROBES if isinstance(self.probes, str) else self.probes


def is_count(value: object) -> bool:
    """Whether a value is a whole number of at least 1, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)
