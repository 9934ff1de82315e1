"""Bartlett and Mendelson 2002, *Rademacher and Gaussian complexities*."""

from collections.abc import Sequence

from onnxbound.bounds.bound import Bound, as_plotted
from onnxbound.bounds.logs import log
from onnxbound.bounds.norms import LayerNorms


def l1_inf(norms: Sequence[LayerNorms], gamma: float) -> Bound:
    """gamma^-2 prod_i |A^i|_{1,inf}^2; squared, as scale invariance demands ([A] Fig. 4 prints it unsquared)."""
    log_value = 2 * (sum(log(layer.l1_inf) for layer in norms) - log(gamma))
    return as_plotted("l1-inf", log_value, "Bartlett & Mendelson 2002")
