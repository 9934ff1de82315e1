"""The margin gamma that the bounds are stated at."""

from typing import Literal

import numpy as np

from onnxbound.errors import UsageError
from onnxbound.results import Float64Array

GammaSource = Literal["value", "quantile", "quantile_of_correct"]


def choose_gamma(margins: Float64Array, value: float | None, quantile: float) -> tuple[float | None, GammaSource]:
    """The margin to use: a given one, else a quantile of all margins if positive, else of the positive margins.

    Args:
        margins: (m,), NaN where a logit is.
        value: A given margin.
        quantile: Which quantile, 0 < quantile < 1.

    Returns:
        gamma > 0, and where it comes from; None where no margin is positive.

    Raises:
        UsageError: The value is not positive, or the quantile not between 0 and 1.
    """
    if value is not None:
        if not (value > 0 and np.isfinite(value)):
            raise UsageError("usage", f"`gamma` must be a positive number, not {value:g}.")
        return value, "value"
    if not 0 < quantile < 1:
        raise UsageError("usage", f"`gamma_quantile` must lie between 0 and 1, not {quantile:g}.")
    finite = np.where(np.isnan(margins), -np.inf, margins)
    gamma = float(np.quantile(finite, quantile)) if np.isfinite(finite).all() else -np.inf
    if gamma > 0:
        return gamma, "quantile"
    positive = finite[finite > 0]
    return (float(np.quantile(positive, quantile)) if positive.size else None), "quantile_of_correct"


def loss_at(margins: Float64Array, gamma: float) -> float:
    """Lhat_gamma: share of rows whose margin is not larger than gamma; NaN counts as an error."""
    return float(np.mean(~(margins > gamma)))
