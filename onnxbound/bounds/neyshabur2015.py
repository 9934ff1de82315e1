"""Neyshabur, Tomioka and Srebro 2015, *Norm-based capacity control in neural networks*."""

from collections.abc import Sequence

from onnxbound.bounds.bound import Bound, as_plotted
from onnxbound.bounds.logs import log
from onnxbound.bounds.norms import LayerNorms


def frobenius(norms: Sequence[LayerNorms], gamma: float) -> Bound:
    """gamma^-2 prod_i |A^i|_F^2."""
    log_value = 2 * (sum(log(layer.frobenius) for layer in norms) - log(gamma))
    return as_plotted("frobenius", log_value, "Neyshabur et al. 2015")
