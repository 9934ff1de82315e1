"""Layer cushion, [A] Definition 4."""

import numpy as np

from onnxbound.results import Float64Array
from onnxbound.stability.ratio import ratio


def layer_cushion(output_norm: Float64Array, weight_norm: float, input_norm: Float64Array) -> Float64Array:
    """mu_i = |x^i| / (|A^i|_F |a^i|), how far a layer's output falls short of the largest it could be.

    Args:
        output_norm: |x^i| with the bias in the affine form, |A^i a^i| in the linear one, (n,).
        weight_norm: |A^i|_F, or |A^i - A^i_0|_F for the distance to an initialisation.
        input_norm: |a^i|, (n,).

    Returns:
        (n,); 0 where x^i = 0, undefined where a^i = 0 or the weight is zero.
    """
    result = ratio(output_norm, weight_norm * input_norm)
    result[input_norm == 0] = np.nan
    return result
