"""What is measured at a batch, described once, independently of the engine that computes it."""

from dataclasses import dataclass, fields
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from onnxbound.results import Float64Array

Form = Literal["affine", "linear"]

EXACT_CLASSES = 100
"""Up to this number of classes the Jacobians to the logits are exact: one cotangent per class."""

SMALL_SIDE = 100
"""Up to this size of x^i or x^j the Jacobian of a pair is exact: a small side means a low rank, where probes err."""


@dataclass(frozen=True, slots=True)
class Programme:
    """The quantities of the noise-stability properties, as a programme over the network.

    From the output x^i of every layer but the last, `probes` noise vectors eta = radius |x^i| g / |g| are sent forward
    together with the rows: once through the Jacobian (tangents, for |J|_F) and once through the network (deviations,
    for smoothness). From the logits one cotangent per class is sent back.

    Attributes:
        form: "affine" takes x^j where [A] writes J x^i, which differ where there are biases; "linear" takes J x^i.
        probes: Noise vectors per layer and row.
        exact_pairs: Whether |J|_F of every pair is computed exactly, by all its rows or columns.
        exact_output: Whether |J|_F to the logits, and the per-pixel norms, are computed exactly.
        radius: Length of the noise relative to |x^i|.
        output_only: Whether only pairs with the last layer are measured.
        seed: Seed of the noise.
        small_side: |J|_F is exact too where x^i or x^j has at most so many entries.
    """

    form: Form
    probes: int
    exact_pairs: bool
    exact_output: bool
    radius: float
    output_only: bool
    seed: int
    small_side: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a programme that one sweep carries, where all of it does not fit in memory.

    Attributes:
        probes: Noise vectors per layer and row, a divisor of the programme's number.
        sources: Number of layers whose noise it carries.
    """

    probes: int
    sources: int

    @classmethod
    def whole(cls, programme: Programme, depth: int) -> Self:
        """The whole programme over d layers."""
        return cls(programme.probes, max(1, depth - 1))

    def ranges(self, depth: int, dealt: int = 1) -> list[range]:
        """The sources of each of so many sweeps, 1-based; a net of a single layer has none."""
        whole = [range(i, min(i + self.sources, depth)) for i in range(1, depth, self.sources)]
        return [own for sources in whole for k in range(dealt) if (own := sources[k::dealt])] or [range(0)]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Raw norms of n rows at d layers, float64; rows of different batches are concatenated by `merge`.

    Pair arrays are indexed `[:, i-1, j-1]` and NaN where there is no pair. With j = d the target is the logits.

    Attributes:
        index: Rows in the data file, int64, shape (n,).
        logits: (n, K).
        ties: Rows at which a gate has no derivative, bool, shape (n,).
        input_norm: |a^i|, (n, d).
        output_norm: |x^i|, (n, d); in the linear form |A^i a^i|, without the bias.
        source_norm: |x^i|, (n, d), whatever the form.
        target_norm: |x^j| at the target, (n, d).
        gate_input_norm: |z| at the first element-wise gate behind x^i, (n, d).
        gate_output_norm: |phi(z)| there, (n, d).
        signal_norm: |x^j| in the affine form, |J x^i| in the linear one, (n, d, d).
        jacobian_squared: |J|_F^2, exact or the mean over probes of |J g|^2, (n, d, d).
        jacobian_squared_error: Standard error of that mean; zero where exact, NaN with one probe; (n, d, d).
        residual_norm: Largest |M(x + eta) - M(x) - J eta| over the probes; in the linear form that of
            |M(x + eta) - J (x + eta)|; (n, d, d).
        largest_pixel_squared: max over pixels of |J_{:,pixel}|_F^2 to the logits, (n, d).
    """

    index: NDArray[np.int64]
    logits: Float64Array
    ties: NDArray[np.bool_]
    input_norm: Float64Array
    output_norm: Float64Array
    source_norm: Float64Array
    target_norm: Float64Array
    gate_input_norm: Float64Array
    gate_output_norm: Float64Array
    signal_norm: Float64Array
    jacobian_squared: Float64Array
    jacobian_squared_error: Float64Array
    residual_norm: Float64Array
    largest_pixel_squared: Float64Array

    @classmethod
    def merge(cls, parts: list[Self]) -> Self:
        """Rows of several measurements, in the order given."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))
