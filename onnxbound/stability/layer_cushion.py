"""Layer cushion, [A] Definition 4."""

import numpy as np

from onnxbound.documents.topic import ARORA, Topic
from onnxbound.results import Float64Array
from onnxbound.stability.property import Property
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


LAYER_CUSHION = Property(
    name="layer_cushion",
    title="layer cushion",
    extreme="min",
    forward=True,
    heading="cushion",
    stable="larger",
    values=lambda at: layer_cushion(
        at.norm("output_norm"), at.weights.frobenius[at.layer.index - 1], at.norm("input_norm")
    ),
    topic=Topic(
        "layer_cushion",
        "metric",
        "The norm of a layer's output, divided by the Frobenius norm |A|_F of the layer's weight and by the norm of the"
        " layer's input. For a dense layer without bias the ratio is at most 1. A layer with a large cushion damps"
        " noise relative to the signal, so few numbers can describe its weights. Trained nets usually have larger"
        " cushions than nets with random weights.",
        "mu_i = |x^i| / (|A^i|_F |a^i|) on each row; bounds take the smallest over the rows; a^i is the input of layer"
        " i, and x^i its output before the activation, with the bias in the affine form and without it in the linear"
        " form",
        f"{ARORA} Definition 4",
        "none; at most 1 for dense layers without biases; for a convolution it may be larger, since the kernel A counts"
        " once in |A|_F, but is applied at many places",
        "undefined on rows where the input of the layer is 0",
    ),
)
