"""All bounds of a net on its training set, in the order of the table."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from onnxbound.bounds.arora2018 import RealisedSmoothness, arora, effective_parameters, theorem_4_1
from onnxbound.bounds.bartlett2002 import l1_inf
from onnxbound.bounds.bartlett2017 import spec_l12
from onnxbound.bounds.bound import Bound, as_plotted, explicit
from onnxbound.bounds.conditions import Conditions
from onnxbound.bounds.logs import log
from onnxbound.bounds.neyshabur2015 import frobenius
from onnxbound.bounds.neyshabur2017 import spec_fro, theorem_2_2
from onnxbound.bounds.norms import LayerNorms
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array

_PLOTTED = {
    "l1-inf": "Bartlett & Mendelson 2002",
    "frobenius": "Neyshabur et al. 2015",
    "spec-l12": "Bartlett et al. 2017",
    "spec-fro": "Neyshabur et al. 2017",
    "arora": "[A] Theorem 5.1",
}
_THEOREMS = {"theorem-2.2": "[A] Theorem 2.2", "theorem-4.1": "[A] Theorem 4.1"}
NAMES = ("parameters", *_PLOTTED, *_THEOREMS)
"""What the bounds are called, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Premises:
    """Everything that the bounds are computed from.

    Attributes:
        network: The net.
        norms: Of its layers.
        conditions: Extremes over the rows.
        margins: (m,).
        input_norms: |a^i| of all rows at a layer, (m,).
        gamma: Margin; None where no row has a positive one.
        max_logit: max |f(x)|.
        exact: Whether every |J|_F is exact, of all pairs.
        delta: Probability that an explicit bound fails.
        missed: Share of the rows on which the conditions fail, or may fail since they were not measured.
        preprocessing_bits: Bits of a mean, a standard deviation and a scale that may have come from S.
        smoothness: Under the noise of Theorem 4.1's own compression; None if that was not measured.
    """

    network: Network
    norms: tuple[LayerNorms, ...]
    conditions: Conditions
    margins: Float64Array
    input_norms: Callable[[int], Float64Array]
    gamma: float | None
    max_logit: float
    exact: bool
    delta: float
    missed: float
    preprocessing_bits: int
    smoothness: RealisedSmoothness | None = None


def every_bound(premises: Premises) -> tuple[Bound, ...]:
    """Compute the six capacities of [A] Fig. 4, and the bounds that can be stated with every constant."""
    network, norms, gamma = premises.network, premises.norms, premises.gamma
    max_logit, delta, chance = premises.max_logit, premises.delta, 1 - 1 / network.classes
    count = as_plotted("parameters", log(network.parameters), "the number of trained numbers")
    parameters = replace(count, value=float(network.parameters))
    if gamma is None:
        return parameters, *_undefined(chance, delta, "no row has a positive margin")
    theorem_2 = theorem_2_2(
        network,
        norms,
        premises.input_norms,
        premises.margins,
        gamma,
        max_logit=max_logit,
        delta=delta,
        chance=chance,
        preprocessing_bits=premises.preprocessing_bits,
    )
    if network.smooth_operators:
        undefined = _undefined(chance, delta, f"the net is not piecewise linear: {', '.join(network.smooth_operators)}")
        return parameters, *(theorem_2 if bound.name == theorem_2.name else bound for bound in undefined)
    conditions = premises.conditions
    effective = [effective_parameters(*pair) for pair in zip(network.layers, conditions.layers, strict=True)]
    estimated = any(condition.basis == "estimated" for condition in conditions.layers)
    return (
        parameters,
        l1_inf(norms, gamma),
        frobenius(norms, gamma),
        spec_l12(norms, gamma),
        spec_fro(network, norms, gamma),
        arora(effective, max_logit, gamma, "estimated" if estimated else "measured"),
        theorem_2,
        theorem_4_1(
            network,
            norms,
            conditions.layers,
            conditions.between_contraction,
            premises.margins,
            gamma,
            max_logit=max_logit,
            exact=premises.exact,
            delta=delta,
            zeta=premises.missed,
            chance=chance,
            smoothness=premises.smoothness,
        ),
    )


def _undefined(chance: float, delta: float, reason: str) -> tuple[Bound, ...]:
    """Return every bound but the number of parameters, null for the same reason."""
    return (
        *(as_plotted(name, None, reference, reason) for name, reference in _PLOTTED.items()),
        *(
            explicit(
                name,
                None,
                chance,
                delta=delta,
                zeta=0.0,
                reference=reference,
                assumptions=(),
                met=False,
                reason=reason,
            )
            for name, reference in _THEOREMS.items()
        ),
    )
