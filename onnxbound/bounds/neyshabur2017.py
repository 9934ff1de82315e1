"""Neyshabur, Bhojanapalli and Srebro 2017, *A PAC-Bayesian approach to spectrally-normalized margin bounds*.

[A] Theorem 2.2 is its proof by compression: truncate small singular values, round, count.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf, log2, sqrt

import numpy as np

from onnxbound.bounds.bound import Bound, as_plotted, explicit
from onnxbound.bounds.description import HEADER_BITS, bias_bits, effective_bits, other_bits
from onnxbound.bounds.logs import log, log_sum
from onnxbound.bounds.norms import LayerNorms, overlap
from onnxbound.bounds.occam import description_gap
from onnxbound.bounds.spectral import EPS, frobenius_upper, outward, spectral_upper
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.operators.weighted import Weighted
from onnxbound.results import Float64Array

_NEVER = 2**62
_LARGE = 1 << 24
_GRAM_RESOLUTION = 1e-6
"""Singular values below this share of the largest cannot be told from rounding in the Gram matrix."""


def spec_fro(network: Network, norms: Sequence[LayerNorms], gamma: float) -> Bound:
    """gamma^-2 prod_i |A^i|_2^2 sum_i h_i |A^i|_F^2 / |A^i|_2^2, as [A] Fig. 4 plots it, without |x|.

    |A|_2 of a convolution is that of its kernel matrix, as in published tables.
    """
    spectral = [log(layer.spectral.kernel_matrix) for layer in norms]
    terms = [
        log(layer.operator.channels) + 2 * (log(own.frobenius) - size)
        for layer, own, size in zip(network.layers, norms, spectral, strict=True)
        if own.frobenius > 0
    ]
    log_value = 2 * (sum(spectral) - log(gamma)) + log_sum(terms)
    return as_plotted("spec-fro", log_value, "Neyshabur et al. 2017")


@dataclass(frozen=True, slots=True)
class CodedLayer:
    """A layer that is encoded in a stated number of bits.

    Attributes:
        error: A proved upper bound of |dA|_2, the norm of the error that the encoding makes.
        bits: Length of the description, its header and the bias in it.
    """

    error: float
    bits: int


def theorem_2_2(
    network: Network,
    norms: Sequence[LayerNorms],
    input_norms: Callable[[int], Float64Array],
    margins: Float64Array,
    gamma: float,
    *,
    max_logit: float,
    delta: float,
    chance: float,
    preprocessing_bits: int,
) -> Bound:
    """L_0(g) <= Lhat_gamma(f) + sqrt((ln2 bits(g) + ln(1/delta)) / 2m) for a net g that is actually encoded.

    A^_i is A^i after truncation of its singular values and rounding; every error dA^i is bounded from the result, not
    from the plan. An error e at the input of layer i leaves it as at most (|A^i|_2 + |dA^i|_2) e plus
    |dA^i|_2 |a^i(x)|, and the operators between layers multiply it by the Lipschitz constants l. At the logits the
    error is linear in the |a^i(x)|:

        E(x) = sum_i w_i |a^i(x)|,  w_i = |dA^i|_2 D_i,  D_i = l_i + sum_{t fed by i} l_{i,t} (|A^t|_2 + |dA^t|_2) D_t,

    with l_i the Lipschitz constant from x^i to the logits. On a chain it is [A]'s sum of products; paths add. If
    max_S E <= gamma / sqrt 2, no margin changes by more than gamma, so Lhat_0(g) <= Lhat_gamma(f). gamma may be chosen
    after S, because g alone is described.

    Each layer costs 128 bits (rank, spacing, width, and how it is stored), its matrix, and its biases.

    Args:
        network: Chain or graph.
        norms: Of its layers; only the proved upper bounds are used.
        input_norms: Layer index to |a^i(x)| on all of S, (m,).
        margins: (m,).
        gamma: Margin.
        max_logit: max |f(x)|, which sets how far float32 evaluation may be from the exact one.
        delta: Probability of failure.
        chance: 1 - 1/K.
        preprocessing_bits: Numbers of the preprocessing that may come from S, 32 bits each.
    """
    target = gamma / sqrt(2)
    uppers = [own.spectral.upper.value for own in norms]
    share = _relative_error(network, uppers, input_norms, target)
    sizes = [own.spectral.kernel_matrix for own in norms]
    coded = [_describe(layer, size, share) for layer, size in zip(network.layers, sizes, strict=True)]
    weights = amplification(network, [u + layer.error for u, layer in zip(uppers, coded, strict=True)])
    total = np.zeros(len(margins))
    for layer, code, factor in zip(network.layers, coded, weights, strict=True):
        if code.error > 0:
            total += outward(code.error * factor) * input_norms(layer.index)
    worst = float(total.max()) * (1 + 1e-6)  # |a^i| come from float32 activations
    bits = sum(code.bits for code in coded) + other_bits(network) + preprocessing_bits
    met = worst <= target
    loss = float(np.mean(~(margins > gamma + 1e-5 * max_logit)))
    return explicit(
        "theorem-2.2",
        loss + description_gap(bits, delta, len(margins)) if met else None,
        chance,
        delta=delta,
        zeta=0.0,
        reference="[A] Theorem 2.2",
        assumptions=(
            "the rows were drawn independently, none dropped",
            "the architecture was chosen without the rows",
            "margins within 1e-5 max |f(x)| of gamma count as errors, for the rounding of float32",
            f"the compressed net takes {bits} bits",
        ),
        met=met,
        reason=f"the copy moves logits by E(x) <= {worst:.3g}; gamma / sqrt 2 = {target:.3g} is allowed",
    )


def amplification(network: Network, norms: Sequence[float]) -> list[float]:
    """D_i: how much an error at x^i can have grown at the logits, if layers have these norms; rounded up."""
    result = [0.0] * network.depth
    for layer in reversed(network.layers):
        i = layer.index
        total = network.tail_lipschitz.get(i, 0.0)
        for later in network.layers[i:]:
            if i in later.between:
                total += later.between[i] * norms[later.index - 1] * result[later.index - 1]
        result[i - 1] = outward(total * (1 + 1e-14))
    return result


def _relative_error(
    network: Network, uppers: Sequence[float], input_norms: Callable[[int], Float64Array], target: float
) -> float:
    """r such that |dA^i|_2 <= r |A^i|_2 in every layer keeps E within the target, by E <= r (1+r)^(d-1) sum_i ...

    With s = max over rows of the sum at r = 0 it suffices that r (1 + r)^(d-1) s <= target.
    """
    total: Float64Array | float = 0.0
    for layer, upper, factor in zip(network.layers, uppers, amplification(network, uppers), strict=True):
        total = total + upper * factor * input_norms(layer.index)
    size = float(np.max(total))
    if not np.isfinite(size):
        return 0.0
    if size == 0:
        return 1.0
    r = min(target / size, 1.0)
    for _ in range(60):
        r = min(target / (size * (1 + r) ** (network.depth - 1)), 1.0)
    return 0.99 * r


_SMALLEST = 1e-250
"""Below this norm a grid's spacing may underflow; such a layer is described exactly."""


def _describe(layer: Layer, size: float, share: float) -> CodedLayer:
    """The shortest description whose error is at most `share` times the layer's norm, as planned.

    A layer of more than 2^24 weights is kept or rounded: to find its singular vectors would take minutes and gigabytes.

    Args:
        layer: The layer.
        size: The spectral norm of its weight as a matrix.
        share: Of that.
    """
    operator = layer.operator
    codes = [CodedLayer(0.0, effective_bits(operator))]
    if size > _SMALLEST and share > EPS:
        if operator.weight.size > _LARGE:
            codes.append(_rounded_in_bands(operator, share * size))
        else:
            matrix = operator.effective_weight().reshape(operator.channels, -1)
            codes.append(_rounded(matrix, share * size))
            if share > _GRAM_RESOLUTION:
                codes.append(_truncated(matrix, share * size))
    best = min(codes, key=lambda code: code.bits)
    error = outward(best.error * overlap(layer)) if best.error else 0.0
    return CodedLayer(error, HEADER_BITS + best.bits + bias_bits(layer))


def _rounded(matrix: Float64Array, allowed: float) -> CodedLayer:
    """Every entry rounded to a grid."""
    spacing = 2 * allowed / sqrt(matrix.size)
    rounded, width = _on_grid(matrix, spacing)
    error = spectral_upper(matrix - rounded, 4 * EPS * float(np.linalg.norm(matrix)))
    return CodedLayer(error, matrix.size * width)


def _rounded_in_bands(operator: Weighted, allowed: float) -> CodedLayer:
    """`_rounded`, the error bounded by its Frobenius norm, which the spacing allows for."""
    count = operator.weight.size
    spacing = 2 * allowed / sqrt(count)
    squared, width = 0.0, 1
    for band in operator.bands():
        rounded, own_width = _on_grid(band, spacing)
        width = max(width, own_width)
        squared += float(np.sum(((band - rounded) / spacing) ** 2))
    error = frobenius_upper(squared, count) * spacing + 4 * EPS * sqrt(operator.frobenius_squared())
    return CodedLayer(error * (1 + 4 * EPS), count * width)


def _truncated(matrix: Float64Array, allowed: float) -> CodedLayer:
    """Singular values below half the allowed error dropped, the factors rounded with the other half.

    The singular vectors come from the smaller Gram matrix; how well is seen in the error, which is that of the factors.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    squared, u = np.linalg.eigh(wide @ wide.T)
    sigma = np.sqrt(np.maximum(squared[::-1], 0.0))
    rank = max(int(np.sum(sigma > allowed / 2)), 1)
    if rank * sum(matrix.shape) >= matrix.size:
        return CodedLayer(inf, _NEVER)
    basis, root = u[:, ::-1][:, :rank], np.sqrt(sigma[:rank])
    left, right = basis * root, (basis.T @ wide) / root[:, None]
    # |P Q - P^ Q^| <= |P| |dQ| + |dP| |Q^|, |dP|_2 <= spacing / 2 sqrt(entries), |P|_2 = |Q|_2 = sqrt(sigma_1).
    spacing = 0.9 * allowed / ((sqrt(left.size) + sqrt(right.size)) * root[0])
    (left, left_width), (right, right_width) = _on_grid(left, spacing), _on_grid(right, spacing)
    rounding = (rank + 4) * EPS * float(np.linalg.norm(left) * np.linalg.norm(right))
    error = spectral_upper(wide - left @ right, rounding)
    return CodedLayer(error, rank * sum(matrix.shape) * max(left_width, right_width))


def _on_grid(matrix: Float64Array, spacing: float) -> tuple[Float64Array, int]:
    """The matrix rounded to multiples of `spacing`, and the bits of one entry."""
    multiples = np.rint(matrix / spacing)
    return multiples * spacing, max(1, ceil(log2(2 * float(np.abs(multiples).max()) + 1)))
