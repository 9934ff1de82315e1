"""Noise sensitivity of a layer's linear map, [A] Definition 3 by the closed form of Proposition 3.1."""

from onnxbound.documents.topic import ARORA, Topic
from onnxbound.results import Float64Array
from onnxbound.stability.property import Property
from onnxbound.stability.ratio import ratio


def noise_sensitivity(map_norm_squared: float, input_norm: Float64Array, output_norm: Float64Array) -> Float64Array:
    """psi = E_eta |M(a + eta |a|) - M(a)|^2 / |M(a)|^2 = |M|_F^2 |a|^2 / |M a|^2 for eta ~ N(0, I), exactly.

    Args:
        map_norm_squared: |M|_F^2 of the whole linear map, which for a convolution counts a weight once for every place
            where it is applied.
        input_norm: |a^i|, (n,).
        output_norm: |x^i|, (n,).

    Returns:
        (n,); undefined where the output is 0. At least the stable rank |M|_F^2 / |M|_2^2 where there is no bias.
    """
    return ratio(map_norm_squared * input_norm**2, output_norm**2)


NOISE_SENSITIVITY = Property(
    name="noise_sensitivity",
    title="noise sensitivity",
    extreme="max",
    forward=True,
    stable="smaller",
    values=lambda at: noise_sensitivity(
        at.weights.map_squared[at.layer.index - 1], at.norm("input_norm"), at.norm("output_norm")
    ),
    topic=Topic(
        "noise_sensitivity",
        "metric",
        "The mean squared relative error at a layer's output if gaussian noise is added to the layer's input. The"
        " standard deviation of each entry of the noise is the norm of the input. The error is close to the stable rank"
        " of the layer's linear map M if the input lies along the top singular vectors of M.",
        "psi = |M|_F^2 |a|^2 / |M a|^2, where a is the layer's input; in the affine form, M a includes the bias",
        f"{ARORA} Definition 3 by Proposition 3.1",
        "none; without biases, at least the stable rank |M|_F^2 / |M|_2^2",
    ),
)
