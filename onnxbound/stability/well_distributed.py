"""Well-distributed Jacobian, [A] Definition 9."""

import numpy as np

from onnxbound.documents.topic import ARORA, Topic
from onnxbound.results import Float64Array
from onnxbound.stability.property import Place, Property


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


def _beta(at: Place) -> Float64Array:
    """Compute beta_{i,d}; 1 for i = d, whose Jacobian to itself is the identity."""
    last = at.network.layers[-1]
    if at.layer is last:
        return np.ones_like(at.norm("source_norm"))
    return well_distributed(at.norm("largest_pixel_squared"), at.to(last).norm("jacobian_squared"), at.layer.positions)


BETA = Property(
    name="beta",
    title="beta of the Jacobian",
    extreme="max",
    heading="beta",
    stable="smaller",
    values=_beta,
    topic=Topic(
        "beta",
        "metric",
        "How unevenly the pixels of a layer's output influence the logits. It is 1 if all pixels matter equally, and"
        " sqrt(p) if only one of p pixels matters.",
        "beta_i = max over pixels of sqrt(p_i) |J_{:,pixel}|_F / |J|_F; J is the Jacobian from the output of layer i to"
        " the logits, J_{:,pixel} are its columns of one pixel, and p_i is the number of pixels; beta_i is 1 if p_i is"
        " 1, as for dense layers, and for the last layer",
        f"{ARORA} Definition 9",
        "none; from 1 to sqrt(p_i)",
        "null for more than 100 classes, except where beta_i is 1 by definition",
    ),
)
