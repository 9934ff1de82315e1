"""Interlayer smoothness, [A] Definition 7 (where "smallest" has to read "largest")."""

import numpy as np

from onnxbound.results import Float64Array
from onnxbound.stability.ratio import ratio


def smoothness_inverse(
    residual_norm: Float64Array, noise_ratio: float, source_norm: Float64Array, target_norm: Float64Array
) -> Float64Array:
    """1 / rho_{i,j} = |x^i| |M(x^i + eta) - M(x^i) - J eta| / (|eta| |x^j|) for the noise that was drawn.

    It is a measurement of the probes at hand: other noise may do worse.

    Args:
        residual_norm: The largest residual over the probes, (n,); that of |M(x + eta) - J (x + eta)| in the linear
            form.
        noise_ratio: |eta| / |x^i|.
        source_norm: |x^i|, (n,).
        target_norm: |x^j|, (n,).

    Returns:
        (n,); 0 where the residual is 0, undefined where x^j = 0 and it is not, or where x^i = 0.
    """
    result = ratio(residual_norm, noise_ratio * target_norm)
    result[source_norm == 0] = np.nan
    return result
