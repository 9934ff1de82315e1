"""Bartlett, Foster and Telgarsky 2017, *Spectrally-normalized margin bounds for neural networks*."""

from collections.abc import Sequence

from onnxbound.bounds.bound import Bound, as_plotted
from onnxbound.bounds.logs import log, log_sum
from onnxbound.bounds.norms import LayerNorms


def spec_l12(norms: Sequence[LayerNorms], gamma: float) -> Bound:
    """gamma^-2 prod_i |A^i|_2^2 sum_i |A^i|_{1,2}^2 / |A^i|_2^2, as [A] Fig. 4 plots it, without |x|.

    |A|_2 of a convolution is that of its kernel matrix, as in published tables.
    """
    spectral = [log(layer.spectral.kernel_matrix) for layer in norms]
    terms = [2 * (log(layer.l12) - own) for layer, own in zip(norms, spectral, strict=True) if layer.l12 > 0]
    log_value = 2 * (sum(spectral) - log(gamma)) + log_sum(terms)
    return as_plotted("spec-l12", log_value, "Bartlett et al. 2017")
