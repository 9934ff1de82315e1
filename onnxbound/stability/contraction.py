"""Activation contraction, [A] Definition 6, in the two forms that [A] plots and that its proof needs."""

from collections.abc import Mapping

import numpy as np

from onnxbound.results import Float64Array
from onnxbound.stability.ratio import ratio


def activation_contraction(gate_input_norm: Float64Array, gate_output_norm: Float64Array) -> Float64Array:
    """c_i = |z| / |phi(z)| at the first element-wise gate behind x^i; on a chain z = x^i.

    Args:
        gate_input_norm: |z|, (n,).
        gate_output_norm: |phi(z)|, (n,).

    Returns:
        (n,); undefined where phi(z) = 0 or there is no gate.
    """
    return _undefined_at_zero(gate_input_norm, gate_output_norm)


def between_contraction(
    lipschitz: Mapping[int, float], source_norms: Mapping[int, Float64Array], input_norm: Float64Array
) -> Float64Array:
    """sum_i l_{i,t} |x^i| / |a^t| at the input of layer t, over the layers i that feed it.

    It bounds how much a relative error at the outputs x^i can grow, relatively, on its way to a^t.

    Args:
        lipschitz: Layer i to l_{i,t}, the Lipschitz constant of what lies between x^i and a^t.
        source_norms: Layer i to |x^i|, (n,).
        input_norm: |a^t|, (n,).

    Returns:
        (n,); undefined where a^t = 0.
    """
    total = np.zeros_like(input_norm)
    for source, constant in lipschitz.items():
        total += constant * source_norms[source]
    return _undefined_at_zero(total, input_norm)


def _undefined_at_zero(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    result = ratio(numerator, denominator)
    result[denominator == 0] = np.nan
    return result
