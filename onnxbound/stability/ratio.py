"""Division with the conventions of the properties."""

import numpy as np

from onnxbound.results import Float64Array


def ratio(numerator: Float64Array, denominator: Float64Array | float) -> Float64Array:
    """Numerator over denominator; 0 where the numerator is 0, NaN where only the denominator is, or both are infinite.

    >>> ratio(np.array([1.0, 0.0, 1.0]), np.array([2.0, 0.0, 0.0]))
    array([0.5, 0. , nan])
    """
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(numerator.shape, np.nan)
    with np.errstate(invalid="ignore"):
        np.divide(numerator, denominator, out=result, where=denominator != 0)
    result[numerator == 0] = 0.0
    return result
