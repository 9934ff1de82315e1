"""All bounds of an analysis, in the order of the table."""

from collections.abc import Sequence
from dataclasses import replace

from onnxbound.bounds.arora2018 import LayerCondition, RealisedSmoothness, arora, theorem_4_1
from onnxbound.bounds.bartlett2002 import l1_inf
from onnxbound.bounds.bartlett2017 import spec_l12
from onnxbound.bounds.bound import Bound, as_plotted, explicit
from onnxbound.bounds.logs import log
from onnxbound.bounds.neyshabur2015 import frobenius
from onnxbound.bounds.neyshabur2017 import spec_fro, theorem_2_2
from onnxbound.report.report import LayerReport, Margin
from onnxbound.report.sections import Findings

_NO_MARGIN = "no row has a positive margin"
_SMOOTH = "the net is not piecewise linear: "


def every_bound(
    findings: Findings,
    conditions: Sequence[LayerCondition],
    layers: Sequence[LayerReport],
    margin: Margin,
    *,
    delta: float,
    missed: float,
    smoothness: RealisedSmoothness | None = None,
) -> tuple[Bound, ...]:
    """The six capacities as plotted in [A] Fig. 4, and what can be said with every constant.

    Args:
        findings: What was measured.
        conditions: Extremes over the rows, per layer.
        layers: With their q_i.
        margin: With gamma.
        delta: Probability that an explicit bound fails.
        missed: Share of the rows that the conditions do not hold for, or may not because they were not measured.
        smoothness: Under the noise of the theorem's own compression; None if that was not measured.
    """
    network, norms, gamma = findings.network, findings.norms, margin.gamma
    chance = 1 - 1 / network.classes
    count = as_plotted("parameters", log(network.parameters), chance, "the number of trained numbers")
    parameters = replace(count, value=float(network.parameters))
    if gamma is None:
        return parameters, *_undefined(chance, delta, _NO_MARGIN)
    margins = findings.table.column("margin")
    theorem_2 = theorem_2_2(
        network,
        norms,
        lambda index: findings.table.column("input_norm", index),
        margins,
        gamma,
        max_logit=margin.max_logit_norm,
        delta=delta,
        chance=chance,
        preprocessing_bits=findings.preprocessing_bits,
    )
    if network.smooth_operators:
        undefined = _undefined(chance, delta, _SMOOTH + ", ".join(network.smooth_operators))
        return parameters, *(theorem_2 if bound.name == theorem_2.name else bound for bound in undefined)
    theorem_4 = theorem_4_1(
        network,
        norms,
        conditions,
        findings.largest_between_contraction(),
        margins,
        gamma,
        max_logit=margin.max_logit_norm,
        exact=bool(findings.properties.exact.all()) and findings.all_pairs,
        delta=delta,
        zeta=missed,
        chance=chance,
        smoothness=smoothness,
    )
    return (
        parameters,
        l1_inf(norms, gamma, chance),
        frobenius(norms, gamma, chance),
        spec_l12(norms, gamma, chance),
        spec_fro(network, norms, gamma, chance),
        arora([layer.effective_parameters for layer in layers], margin.max_logit_norm, gamma, chance),
        theorem_2,
        theorem_4,
    )


def _undefined(chance: float, delta: float, reason: str) -> tuple[Bound, ...]:
    """Every bound but the number of parameters, null for the same reason."""
    plotted = {
        "l1-inf": "Bartlett & Mendelson 2002",
        "frobenius": "Neyshabur et al. 2015",
        "spec-l12": "Bartlett et al. 2017",
        "spec-fro": "Neyshabur et al. 2017",
        "arora": "[A] Theorem 5.1",
    }
    theorems = {"theorem-2.2": "[A] Theorem 2.2", "theorem-4.1": "[A] Theorem 4.1"}
    return (
        *(as_plotted(name, None, chance, reference, reason) for name, reference in plotted.items()),
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
            for name, reference in theorems.items()
        ),
    )
