"""Activation contraction, [A] Definition 6, in the two forms that [A] plots and that its proof needs."""

from collections.abc import Mapping

import numpy as np

from onnxbound.documents.topic import ARORA, Topic
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.stability.property import Place, Property
from onnxbound.stability.ratio import ratio


def activation_contraction(gate_input_norm: Float64Array, gate_output_norm: Float64Array) -> Float64Array:
    """c_i = |z| / |phi(z)| at the first element-wise gate behind x^i; on a chain z = x^i.

    Args:
        gate_input_norm: |z|, (n,).
        gate_output_norm: |phi(z)|, (n,).

    Returns:
        (n,); undefined where phi(z) = 0 or there is no gate.
    """
    return _undefined_at_zero(gate_input_norm, gate_output_norm)


def between_contraction(
    lipschitz: Mapping[int, float], source_norms: Mapping[int, Float64Array], input_norm: Float64Array
) -> Float64Array:
    """sum_i l_{i,t} |x^i| / |a^t| at the input of layer t, over the layers i that feed it.

    It bounds how much a relative error at the outputs x^i can grow, relatively, on its way to a^t.

    Args:
        lipschitz: Layer i to l_{i,t}, the Lipschitz constant of what lies between x^i and a^t.
        source_norms: Layer i to |x^i|, (n,).
        input_norm: |a^t|, (n,).

    Returns:
        (n,); undefined where a^t = 0.
    """
    total = np.zeros_like(input_norm)
    for source, constant in lipschitz.items():
        total += constant * source_norms[source]
    return _undefined_at_zero(total, input_norm)


def _undefined_at_zero(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    result = ratio(numerator, denominator)
    result[denominator == 0] = np.nan
    return result


def _largest_between(at: Place) -> Float64Array:
    """Take the largest between contraction over the layers that x^i feeds; NaN if it feeds none.

    A layer that is fed through a map without a Lipschitz constant does not count.
    """
    result = np.full_like(at.norm("source_norm"), np.nan)
    for reader in at.network.layers:
        if at.layer.index in reader.between and bounded(reader):
            sources = {i: at.norm("source_norm", at.network.layers[i - 1]) for i in reader.between}
            result = np.fmax(result, between_contraction(reader.between, sources, at.norm("input_norm", reader)))
    return result


def bounded(layer: Layer) -> bool:
    """Return whether every map that leads into a layer has a Lipschitz constant."""
    return bool(np.isfinite(list(layer.between.values())).all())


def _no_reader(network: Network, layer: Layer) -> str:
    readers = [reader for reader in network.layers if layer.index in reader.between]
    if not readers:
        return "no layer follows"
    return "" if any(map(bounded, readers)) else "what follows has no Lipschitz constant"


CONTRACTION = Property(
    name="contraction",
    title="activation contraction",
    extreme="max",
    forward=True,
    heading="contr.",
    stable="smaller",
    values=lambda at: activation_contraction(at.norm("gate_input_norm"), at.norm("gate_output_norm")),
    absent=lambda _, layer: "" if layer.gate else "no element-wise gate follows",
    topic=Topic(
        "contraction",
        "metric",
        "The norm of the input of the activation function behind a layer, divided by the norm of the function's output."
        " For a ReLU whose inputs are spread symmetrically around 0, it is about sqrt 2.",
        "c_i = |z| / |phi(z)| on each row; bounds take the largest over the rows; phi is the first element-wise"
        " activation function behind layer i, and z its input",
        f"{ARORA} Definition 6",
        "none; at least 1 for ReLU",
        "null if no such function follows; undefined on rows where its output is 0",
    ),
)

BETWEEN_CONTRACTION = Property(
    name="between_contraction",
    title="between contraction",
    extreme="max",
    forward=True,
    values=_largest_between,
    absent=_no_reader,
    topic=Topic(
        "between_contraction",
        "metric",
        "An upper bound on the factor by which a relative error at a layer's output grows before it reaches the next"
        " layer's input, through activation functions, pooling and reshaping together. The bound theorem-4.1 uses it.",
        "of layer i: the largest, over the layers t that it feeds, of sum_k l_{k,t} |x^k| / |a^t|; the sum is over all"
        " layers k that feed layer t, a^t is the input of layer t, x^k the output of layer k, and l_{k,t} the Lipschitz"
        " constant of the map from x^k to a^t",
        f"{ARORA} Definition 6, as its proof uses it",
        "none",
    ),
)
