"""From a margin that must survive to how far each layer may be compressed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import e, isinf, prod, sqrt

import numpy as np

from onnxbound.bounds.arora2018 import LayerCondition, failure_per_pair, layer_epsilons
from onnxbound.bounds.bound import Bound
from onnxbound.bounds.norms import layer_norms
from onnxbound.compressors.budget import Budget
from onnxbound.errors import Problem, UsageError
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network


@dataclass(frozen=True, slots=True)
class Analysed:
    """What an analysis says of the original on its training set.

    Attributes:
        conditions: Cushions and their kin, one per layer.
        contraction: c, at least 1.
        max_logit: max |f(x)|.
        max_input: max |x|.
        rows: m.
        effective_parameters: q_i, one per layer.
        bounds: Of the original.
    """

    conditions: Sequence[LayerCondition]
    contraction: float
    max_logit: float
    max_input: float
    rows: int
    effective_parameters: Sequence[float | None]
    bounds: Sequence[Bound]


def budgets_of_margin(
    network: Network, layers: Sequence[Layer], method: str, gamma: float, measured: Analysed
) -> Mapping[int, Budget]:
    """Layer index to the budget under which the theory promises margin gamma.

    * Matrix-Project: [A] Lemma 10, eps = gamma / (sqrt 2 max |f(x)|), and Lemma 3, eps_i = min(1, eps mu_i mu_{i->} /
      (6 c d)), eps_d less where weight-free operators follow layer d;
    * truncation: [A] Theorem 2.2, singular values below delta |A|_2 go, delta = gamma / (2 sqrt 2 e max|x| d
      prod |A|_2), norms being proved upper bounds;
    * vectors: an error of gamma / 2 in every logit, rows of norm at most the largest, inputs of norm at most max |x|.

    Raises:
        UsageError: compress-margin, the margin exceeds all that the net has, or a cushion is 0.
    """
    if method == "svd":
        size = prod(layer_norms(layer).spectral.upper.value for layer in network.layers)
        cut = gamma / (2 * sqrt(2) * e * measured.max_input * network.depth * size)
        return {layer.index: Budget("cut", min(1.0, cut)) for layer in layers}
    if method.startswith("vector"):
        weight = layers[0].operator.effective_weight()
        scale = float(np.linalg.norm(weight, axis=1).max()) * measured.max_input
        return {layers[0].index: Budget("epsilon", min(1.0, gamma / (2 * scale)))}
    epsilon = gamma / (sqrt(2) * measured.max_logit)
    if epsilon > 1:
        why = f"sqrt 2 max |f(x)| is {sqrt(2) * measured.max_logit:.3g}"
        raise UsageError(
            "compress-margin",
            f"No row has a margin of {gamma:.3g}: the bound is vacuous.",
            [Problem("`gamma`", why, "ask for a smaller one")],
        )
    unbounded = isinf(measured.conditions[-1].tail)
    if unbounded or any(not c.layer_cushion or not c.minimal_interlayer_cushion for c in measured.conditions):
        why = (
            "what follows the last layer is not Lipschitz" if unbounded else "a cushion is 0 or undefined on some rows"
        )
        raise UsageError(
            "compress-margin",
            "The margin allows no error at the layers.",
            [Problem("`gamma`", why, "use `epsilon` or `keep`")],
        )
    epsilons = layer_epsilons(network, measured.conditions, measured.contraction, epsilon)
    return {layer.index: Budget("epsilon", epsilons[layer.index - 1]) for layer in layers}


def eta_of_margin(network: Network, delta: float, rows: int) -> float:
    """The probability with which the promise may fail for one pair of vectors, [A] Lemma 3."""
    return failure_per_pair(network, delta, rows)
