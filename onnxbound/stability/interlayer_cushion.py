"""Interlayer cushion, [A] Definition 5 (dense) and Definition 8 (convolutional)."""

import numpy as np

from onnxbound.results import Float64Array
from onnxbound.stability.ratio import ratio


def interlayer_cushion(
    signal_norm: Float64Array, jacobian_norm: Float64Array, source_norm: Float64Array, positions: int
) -> Float64Array:
    """mu_{i,j} = sqrt(p_i) |x^j| / (|J^{i,j}|_F |x^i|).

    Args:
        signal_norm: |x^j| in the affine form, |J x^i| in the linear one, (n,).
        jacobian_norm: |J^{i,j}|_F at x^i, (n,).
        source_norm: |x^i|, (n,).
        positions: p_i, pixels of layer i; 1 for a dense layer on a vector.

    Returns:
        (n,); 0 where x^j = 0, undefined where J = 0 or x^i = 0 and x^j is not, or where there is no pair.
    """
    return float(np.sqrt(positions)) * ratio(signal_norm, jacobian_norm * source_norm)


def minimal_interlayer_cushion(units: int, cushions: Float64Array) -> tuple[Float64Array, Float64Array]:
    """mu_{i->}, [A] Definition 5 and 8: clipped at 1 / sqrt(h_i), and unclipped as in [A] Fig. 2b.

    Args:
        units: h_i, output units of a dense layer or output channels of a convolution.
        cushions: mu_{i,j} for each j > i that a path leads to, (n, number of such j); the undefined ones are infinite
            and never the smallest.

    Returns:
        The clipped and the unclipped values, (n,) each; unclipped is undefined where no mu_{i,j} is defined, as for the
        last layer.

    >>> minimal_interlayer_cushion(4, np.array([[0.3, 0.7], [0.8, np.nan]]))
    (array([0.3, 0.5]), array([0.3, 0.8]))
    """
    unclipped = np.fmin.reduce(cushions, axis=1, initial=np.nan)
    return np.fmin(unclipped, 1 / np.sqrt(units)), unclipped
