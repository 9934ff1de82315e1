"""Interlayer cushion, [A] Definition 5 (dense) and Definition 8 (convolutional)."""

import numpy as np

from onnxbound.documents.topic import ARORA, Topic
from onnxbound.results import Float64Array
from onnxbound.stability.property import Place, Property
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


def _of_pair(at: Place) -> Float64Array:
    return interlayer_cushion(at.norm("signal_norm"), _jacobian_norm(at), at.norm("source_norm"), at.layer.positions)


def _jacobian_norm(at: Place) -> Float64Array:
    return np.sqrt(at.norm("jacobian_squared"))


def _proportional_error(at: Place, values: Float64Array) -> Float64Array:
    """Delta method: a relative error e of |J|_F^2 is one of e/2 of |J|_F, and of mu, which is its reciprocal."""
    squared, relative = at.norm("jacobian_squared"), np.full_like(values, np.nan)
    np.divide(at.norm("jacobian_squared_error"), 2 * squared, out=relative, where=squared > 0)
    return relative * values


def _minimal(at: Place) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Compute mu_{i->} clipped and unclipped, and the standard error of the smallest mu_{i,j}."""
    assert at.programme is not None
    reached = [
        t for t in at.network.layers if t.index > at.layer.index and at.network.has_path(at.layer.index, t.index)
    ]
    rows = len(at.norm("source_norm"))
    if at.programme.output_only:
        return (np.full(rows, np.nan),) * 3
    cushions = np.reshape([_of_pair(at.to(target)) for target in reached], (-1, rows)).T
    errors = np.reshape([_proportional_error(at.to(t), _of_pair(at.to(t))) for t in reached], (-1, rows)).T
    clipped, unclipped = minimal_interlayer_cushion(at.layer.operator.channels, cushions)
    if not reached:
        return clipped, unclipped, np.zeros(rows)
    smallest = np.argmin(np.where(np.isnan(cushions), np.inf, cushions), axis=1)
    return clipped, unclipped, np.take_along_axis(errors, smallest[:, None], axis=1)[:, 0]


INTERLAYER_CUSHION = Property(
    name="interlayer_cushion",
    title="interlayer cushion",
    extreme="min",
    per="pair",
    values=_of_pair,
    error=_proportional_error,
    power=-1,
    topic=Topic(
        "interlayer_cushion",
        "metric",
        "How much better the net passes on the signal than noise, from the output of layer i to that of layer j. If"
        " random noise with the norm of the signal is added to the output of layer i, the ratio of signal to noise at"
        " layer j is the cushion times sqrt(h_i); layer i has h_i units, or channels if it is a convolution. The"
        " cushion is large if the net damps noise between the two layers.",
        "mu_{i,j} = sqrt(p_i) |x^j| / (|J^{i,j}|_F |x^i|); x^i is the output of layer i before the activation, p_i its"
        " number of pixels, and J^{i,j} the Jacobian of the map from x^i to x^j at the row; in the linear form,"
        " |J^{i,j} x^i| takes the place of |x^j|",
        f"{ARORA} Definition 5 (dense), Definition 8 (convolutional)",
        "none",
        "products with J are exact; |J|_F is exact, or an estimate by Hutchinson's method from random probes; the"
        " report says which for each pair of layers",
    ),
)

JACOBIAN_NORM = Property(
    name="jacobian_norm",
    title="norm of the Jacobian",
    extreme="median",
    per="pair",
    values=_jacobian_norm,
    error=_proportional_error,
    power=1,
    topic=Topic(
        "jacobian_norm",
        "metric",
        "The Frobenius norm of the Jacobian J of layer j's output with respect to layer i's output, at a row.",
        "|J^{i,j}|_F, either exact, from products that give all rows or columns of J, or estimated as the root of the"
        " mean of |J g|^2 over gaussian vectors g",
        f"{ARORA} Definition 5",
        "output per input",
    ),
)

_MINIMAL = Topic(
    "minimal_interlayer_cushion",
    "metric",
    "The smallest interlayer cushion between a layer and any later one. arora and theorem-4.1 use the clipped value,"
    " since the definition in [A] includes j = i, the layer itself, which contributes 1/sqrt(h_i). [A] plots the"
    " unclipped value.",
    "clipped: mu_{i->} = min(1/sqrt(h_i), min_{j>i} mu_{i,j}); unclipped: min_{j>i} mu_{i,j}; layer i has h_i units, or"
    " channels if it is a convolution",
    f"{ARORA} Definitions 5 and 8, Fig. 2b",
    "none",
    'all pairs of layers are measured (`pairs="all"`)',
)

CLIPPED = Property(
    name="minimal_interlayer_cushion.clipped",
    title="minimal interlayer cushion, clipped",
    extreme="min",
    heading="interl.",
    values=lambda at: _minimal(at)[0],
    error=lambda at, values: np.where(values < _minimal(at)[1], 0.0, _minimal(at)[2]),
    power=-1,
    topic=_MINIMAL,
)

UNCLIPPED = Property(
    name="minimal_interlayer_cushion.unclipped",
    title="minimal interlayer cushion",
    extreme="min",
    stable="larger",
    values=lambda at: _minimal(at)[1],
    error=lambda at, _: _minimal(at)[2],
    power=-1,
    topic=_MINIMAL,
)
