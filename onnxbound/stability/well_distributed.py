"""Well-distributed Jacobian, [A] Definition 9."""

import numpy as np

from onnxbound.results import Float64Array


def well_distributed(
    largest_pixel_squared: Float64Array, jacobian_squared: Float64Array, positions: int
) -> Float64Array:
    """beta_{i,j} = max over pixels of sqrt(p_i) |J_{:,pixel}|_F / |J|_F; 1 when every pixel matters alike.

    Args:
        largest_pixel_squared: max over pixels of |J_{:,pixel}|_F^2, (n,).
        jacobian_squared: |J|_F^2, (n,).
        positions: p_i; with one position beta is 1 by definition.

    Returns:
        (n,); undefined where J = 0 and p_i > 1.
    """
    if positions == 1:
        return np.ones_like(jacobian_squared)
    result = np.full_like(jacobian_squared, np.nan)
    np.divide(positions * largest_pixel_squared, jacobian_squared, out=result, where=jacobian_squared > 0)
    return np.sqrt(result)
