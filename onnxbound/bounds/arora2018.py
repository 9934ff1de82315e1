"""[A]: Arora, Ge, Neyshabur, Zhang 2018, *Stronger generalization bounds for deep nets via a compression approach*."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, prod, sqrt
from math import log as ln

import numpy as np

from onnxbound.bounds.bound import Bound, as_plotted, explicit
from onnxbound.bounds.description import HEADER_BITS, bias_bits, effective_bits, other_bits
from onnxbound.bounds.logs import log
from onnxbound.bounds.norms import LayerNorms, overlap
from onnxbound.bounds.occam import description_gap
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.operators.dense import Dense
from onnxbound.results import Basis, Float64Array


@dataclass(frozen=True, slots=True)
class LayerCondition:
    """The extremes over the rows in [A]'s bound; None where a property is undefined on every row.

    Attributes:
        layer_cushion: mu_i, the smallest.
        minimal_interlayer_cushion: mu_{i->}, clipped, the smallest.
        contraction: c_i of the activation, the largest; 1 where the layer has no gate behind it.
        beta: beta_i to the output, the largest.
        tail: For layer d, max(1, l max|x^d| / max|f(x)|), l the Lipschitz constant of the operators that follow it; 1
            for the others.
        basis: Whether `minimal_interlayer_cushion` is exact or an estimate.
    """

    layer_cushion: float | None
    minimal_interlayer_cushion: float | None
    contraction: float | None
    beta: float | None
    tail: float = 1.0
    basis: Basis = "measured"


def effective_parameters(layer: Layer, condition: LayerCondition) -> float | None:
    """q_i = c_i^2 beta_i^2 ceil(kappa_i/s_i)^2 / (mu_i^2 mu_{i->}^2), the layer's term in Theorem 5.1 and in Table 1.

    Returns:
        None where a factor is undefined or a cushion is 0.
    """
    c, beta = condition.contraction, condition.beta
    mu, minimal = condition.layer_cushion, condition.minimal_interlayer_cushion
    if c is None or beta is None or not mu or not minimal:
        return None
    overlap = prod(ceil(k / s) for k, s in zip(layer.kernel, layer.stride, strict=True))
    return (c * beta / (mu * minimal)) ** 2 * overlap


def arora(effective: Sequence[float | None], max_logit: float, gamma: float, basis: Basis = "measured") -> Bound:
    """gamma^-2 max|f(x)|^2 sum_i q_i, Theorem 5.1, and 4.1 where beta and kappa / s are 1, as [A] Fig. 4 plots it."""
    missing = [str(i) for i, q in enumerate(effective, start=1) if q is None]
    total = sum(q for q in effective if q is not None)
    log_value = None if missing else 2 * (log(max_logit) - log(gamma)) + log(total)
    reason = f"q_i is undefined at layer {', '.join(missing)}" if missing else ""
    return replace(as_plotted("arora", log_value, "[A] Theorem 5.1", reason), basis=basis)


@dataclass(frozen=True, slots=True)
class ProjectedLayer:
    """A layer as the theorem encodes it.

    Attributes:
        epsilon: eps_i.
        projections: k_i; 0 where the weights are kept as they are.
        bits: bits_i.
    """

    epsilon: float
    projections: int
    bits: int


@dataclass(frozen=True, slots=True)
class RealisedSmoothness:
    """Smoothness under the noise that the theorem's own compression makes.

    Attributes:
        largest_inverse: The largest 1/rho over rows, pairs and both differences; 0 without noise.
        source: Layer i of the pair that has it.
        target: Layer j of it.
        rows: How many rows were measured.
        projected: Layers that were projected, not kept as they are.
    """

    largest_inverse: float
    source: int
    target: int
    rows: int
    projected: int


def theorem_4_1(
    network: Network,
    norms: Sequence[LayerNorms],
    conditions: Sequence[LayerCondition],
    between_contraction: float,
    margins: Float64Array,
    gamma: float,
    *,
    max_logit: float,
    exact: bool,
    delta: float,
    zeta: float,
    chance: float,
    smoothness: RealisedSmoothness | None = None,
) -> Bound:
    """L_0(g) <= Lhat_gamma(f) + zeta + sqrt((ln2 sum_i bits_i + ln(1/delta_S)) / 2m) for chains.

    Layer i is projected on k_i matrices of signs, by Algorithm 1 with a proved constant: half of its error
    eps_i = min(1, eps mu_i mu_{i->} / (6 c d)) goes into the projection and half into the rounding of k_i coefficients.
    eps = gamma / (sqrt 2 max |f(x)|). Three events may fail, with probability delta / 3 each: the draw of the rows, the
    draw of the signs, and the sample that the cushions were measured on.

    The theorem needs the smoothness of the noise that compression really makes; from gaussian noise alone `met` stays
    open.

    Args:
        network: The net.
        norms: Of its layers.
        conditions: Extremes over S.
        between_contraction: The largest over layers and rows.
        margins: (m,).
        gamma: Margin.
        max_logit: max |f(x)|.
        exact: Whether every |J|_F is exact.
        delta: Probability of failure.
        zeta: Fraction of the rows that the conditions leave out.
        chance: 1 - 1/K.
        smoothness: Under the noise of compression; None if it was measured under gaussian noise only.
    """
    reason = _why_not(network, conditions)
    epsilon = gamma / (sqrt(2) * max_logit) if max_logit > 0 else inf
    if not reason and epsilon > 1:
        reason = "gamma is above sqrt 2 max |f(x)|, and no margin is that large"
    value = None
    if not reason:
        contraction = max(1.0, between_contraction)
        layers = projected_layers(network, norms, conditions, contraction, epsilon, delta / 3, len(margins))
        bits = sum(layer.bits for layer in layers)
        bits += other_bits(network)
        loss = float(np.mean(~(margins > gamma + 1e-5 * max_logit)))
        value = loss + zeta + description_gap(bits, delta / 3, len(margins))
        if not exact:
            vacuous = "; by these estimates the bound would be vacuous" if value >= chance else ""
            reason = f'interlayer cushions are estimates, which prove nothing; `probes="exact"` measures them{vacuous}'
            value = None
    met, said = (False, reason) if reason else _is_smooth(network.depth, smoothness)
    return explicit(
        "theorem-4.1",
        value,
        chance,
        delta=delta,
        zeta=zeta,
        reference="[A] Theorem 4.1",
        assumptions=(
            "the rows were drawn independently, none dropped",
            "the architecture and the seed of the helper string were chosen without the rows",
            "interlayer smoothness of at least 3d under the noise of compression, on all rows that are kept",
        ),
        met=met,
        reason=said,
    )


def _is_smooth(depth: int, realised: RealisedSmoothness | None) -> tuple[bool | None, str]:
    """Whether rho >= 3d, and in words why."""
    if realised is None:
        return (
            None,
            (
                "it needs smoothness under the noise that this very compression makes, which was not measured;"
                ' `noise="compression"` measures it, but makes the value no smaller'
            ),
        )
    if realised.projected == 0:
        return True, "every layer stays as it is, since its projections would take more bits, so there is no noise"
    said = (
        f"under the noise of compression 1/rho is at most {realised.largest_inverse:.3g} on {realised.rows:,} rows"
        f" (layers {realised.source} to {realised.target}), 1/(3d) = {1 / (3 * depth):.3g}"
    )
    return realised.largest_inverse * 3 * depth <= 1, said


def _why_not(network: Network, conditions: Sequence[LayerCondition]) -> str:
    if network.topology != "chain":
        return "the theorem is proved only for chains: in other graphs, a path may bypass the compressed layer"
    if any(isinstance(layer.operator, Dense) and layer.positions > 1 for layer in network.layers):
        return "the theorem is proved only for convolutions and for dense layers with one position"
    if any(not c.layer_cushion or not c.minimal_interlayer_cushion for c in conditions):
        return "a cushion is 0 or undefined on some rows"
    return ""


def projected_layers(
    network: Network,
    norms: Sequence[LayerNorms],
    conditions: Sequence[LayerCondition],
    contraction: float,
    epsilon: float,
    delta: float,
    rows: int,
) -> list[ProjectedLayer]:
    """How the theorem encodes every layer: by its projections or by its weights as they are, whichever is shorter.

    bits_i = 128 + 32 per bias entry + min(k_i w_i, 32 h1 h2), with 64 in place of 32 for numbers that are not float32.
    A layer with fewer weights than k_i is kept.

    Args:
        network: A chain.
        norms: Of its layers.
        conditions: Extremes over S; neither cushion is None.
        contraction: c, at least 1.
        epsilon: Relative error allowed at the output, gamma / (sqrt 2 max |f(x)|).
        delta: Probability that the draw of the signs fails.
        rows: m.
    """
    failure = failure_per_pair(network, delta, rows)
    epsilons = layer_epsilons(network, conditions, contraction, epsilon)
    result = []
    for layer, own, own_epsilon in zip(network.layers, norms, epsilons, strict=True):
        half, kept = own_epsilon / 2, effective_bits(layer.operator)
        rate = half**2 / 4 - half**3 / 6
        projections = ceil(ln(4 / failure) / rate) if rate > 0 else layer.parameters + 1
        projected = 0 if own.frobenius == 0 else kept
        if own.frobenius > 0 and projections <= layer.parameters:
            projected = projections * ceil(np.log2(2 * ceil(layer.parameters / own_epsilon) + 1))
        own_bits = HEADER_BITS + bias_bits(layer) + min(projected, kept)
        result.append(ProjectedLayer(own_epsilon, projections if projected < kept else 0, own_bits))
    return result


def layer_epsilons(
    network: Network, conditions: Sequence[LayerCondition], contraction: float, epsilon: float
) -> list[float]:
    """eps_i = min(1, eps mu_i mu_{i->} / (6 c d)), the error allowed to Algorithm 1 at layer i, [A] Lemma 3.

    The noise that enters before layer d is followed to the logits. That of layer d itself is promised relative to x^d:
    where weight-free operators follow, it reaches the logits times their Lipschitz constant l, so that it may be larger
    relative to them by l |x^d| / |f(x)|. eps_d is divided by the largest that this is.

    For a convolution, whose kernel is what is projected, the proof of the dense case holds with mu_{i,j} less its
    sqrt(p_i), with mu_{i->} at most 1 / sqrt(h_i p_i), and with an entry of the input standing in as many as
    ceil(kappa / s)^2 patches: eps_i is divided by sqrt(p_i) times the square root of that.

    Args:
        network: A chain.
        conditions: Extremes over S; neither cushion is None.
        contraction: c, at least 1.
        epsilon: Relative error allowed at the output, gamma / (sqrt 2 max |f(x)|).
    """
    result = []
    for layer, condition in zip(network.layers, conditions, strict=True):
        assert condition.layer_cushion is not None and condition.minimal_interlayer_cushion is not None  # noqa: PT018
        cushions = condition.layer_cushion * condition.minimal_interlayer_cushion
        cushions /= sqrt(layer.positions) * overlap(layer) * condition.tail
        result.append(min(1.0, epsilon * cushions / (6 * contraction * network.depth)))
    return result


def failure_per_pair(network: Network, delta: float, rows: int) -> float:
    """eta = delta / (6 d^2 h^2 m), h the most units of a layer, every position counted, or the logits if more."""
    height = max(network.classes, *(layer.operator.channels * layer.positions for layer in network.layers))
    return delta / (6 * network.depth**2 * height**2 * rows)
