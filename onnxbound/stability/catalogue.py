"""Every property that is measured, in the order of a report; a new one is a file of its own and a line here."""

from onnxbound.stability.contraction import BETWEEN_CONTRACTION, CONTRACTION
from onnxbound.stability.interlayer_cushion import CLIPPED, INTERLAYER_CUSHION, JACOBIAN_NORM, UNCLIPPED
from onnxbound.stability.layer_cushion import LAYER_CUSHION
from onnxbound.stability.noise_sensitivity import NOISE_SENSITIVITY
from onnxbound.stability.smoothness import SMOOTHNESS_INVERSE
from onnxbound.stability.weight_noise import WEIGHT_NOISE_SENSITIVITY
from onnxbound.stability.well_distributed import BETA

CATALOGUE = (
    LAYER_CUSHION, CONTRACTION, BETWEEN_CONTRACTION, NOISE_SENSITIVITY, BETA, INTERLAYER_CUSHION, JACOBIAN_NORM,
    SMOOTHNESS_INVERSE, CLIPPED, UNCLIPPED, WEIGHT_NOISE_SENSITIVITY,
)  # fmt: skip

FORWARD = tuple(prop for prop in CATALOGUE if prop.forward)
"""Properties of all rows; the others are those of the measured rows."""

OF_LAYERS = tuple(prop for prop in CATALOGUE if prop.per == "layer" or prop.to_output)
OF_PAIRS = tuple(prop for prop in CATALOGUE if prop.per == "pair")
PLOTTED = tuple(prop for prop in OF_LAYERS if prop.stable)
