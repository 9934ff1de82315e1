"""Interlayer smoothness, [A] Definition 7 (where "smallest" has to read "largest")."""

import numpy as np

from onnxbound.documents.topic import ARORA, Topic
from onnxbound.results import Float64Array
from onnxbound.stability.property import Place, Property
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


def _of_pair(at: Place) -> Float64Array:
    assert at.programme is not None
    return smoothness_inverse(
        at.norm("residual_norm"), at.programme.radius, at.norm("source_norm"), at.norm("target_norm", at.target)
    )


SMOOTHNESS_INVERSE = Property(
    name="smoothness_inverse",
    title="smoothness 1/rho to the output",
    extreme="max",
    per="pair",
    of_noise=True,
    to_output=True,
    stable="smaller",
    values=_of_pair,
    absent=lambda network, layer: (
        "" if network.has_path(layer.index, network.depth) else "no path leads to a later layer"
    ),
    topic=Topic(
        "smoothness_inverse",
        "metric",
        "How far the net departs from its linearisation at a row if noise is added to a layer's output. In the affine"
        " form it is 0 if the noise switches no ReLU and no maximum of a pooling window. The number is 1/rho, where rho"
        " is the interlayer smoothness. The bound theorem-4.1, for d layers, needs 1/rho <= 1/(3d) under the noise that"
        " compression makes. Values under gaussian noise do not show that this holds.",
        "1/rho_{i,j} = |x^i| |M(x^i + eta) - M(x^i) - J eta| / (|eta| |x^j|), the largest over the probes; M is the map"
        " from the output x^i of layer i to the output x^j of layer j, J its Jacobian at the row, and eta the noise; in"
        " the linear form, J x^i takes the place of M(x^i)",
        f"{ARORA} Definition 7 (where 'smallest' should read 'largest')",
        "none",
        "a measurement for the noise that was drawn; it proves nothing for other noise",
    ),
)
