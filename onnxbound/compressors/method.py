"""One method at one budget, applied to the layers of a network."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, log2
from typing import get_args

import numpy as np

from onnxbound.compressors.budget import Budget, kept_numbers
from onnxbound.compressors.compressed import CompressedLayer, CompressedNetwork, MethodName, described, kept
from onnxbound.compressors.matrix_project import Constants, matrix_project, projections
from onnxbound.compressors.matrix_project_conv import (
    SubspaceName,
    matrix_project_conv,
    projections_of_kernel,
    repetitions,
)
from onnxbound.compressors.quantise import quantise
from onnxbound.compressors.svd import rank_of_cut, rank_of_energy, truncate
from onnxbound.compressors.vector import projections_of_vector, vector_compress, vector_project
from onnxbound.errors import require_word
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.operators.conv import Conv
from onnxbound.results import Float64Array

_FLOAT_BITS = 32


@dataclass(frozen=True, slots=True)
class Method:
    """How to compress; `Budget` says how far.

    Attributes:
        name: The format or the algorithm. "smallest" and "fastest" search for the best file.
        constants: The constant in the number of projections: "explicit" is proved, "paper" is that of [A].
        eta: Largest probability, for one pair of vectors, that an algorithm's error exceeds its epsilon.
        seed: The seed of all random choices.
        width: With svd, the bits per number of the factors; None for float32.
        block: With int4-weights, the number of weights per scale; 0 for one scale per output unit.
        fine_tune: With int8-weights or int4-weights, whether to fine-tune the rounded network.
        subspace: With matrix-project-conv, how to draw the random subspace; None means "haar" for small kernels and
            "hadamard" for large ones.
        filter_cap: With matrix-project-conv, the largest size of a layer's filters in bytes.
        threads: Number of threads; None for all cores.

    >>> from onnxbound import Method
    >>> Method("int4-weights").name
    'int4-weights'
    """

    name: MethodName = "smallest"
    constants: Constants = "explicit"
    eta: float = 0.05
    seed: int = 0
    width: int | None = None
    block: int = 0
    fine_tune: bool = False
    subspace: SubspaceName | None = None
    filter_cap: int = 256 << 20
    threads: int | None = None

    def __post_init__(self) -> None:
        require_word("method", self.name, get_args(MethodName))
        require_word("constants", self.constants, get_args(Constants))
        if self.subspace is not None:
            require_word("subspace", self.subspace, get_args(SubspaceName))


def compress_layers(
    network: Network,
    method: Method,
    budgets: Mapping[int, Budget],
    origins: Mapping[int, Float64Array] | None = None,
) -> CompressedNetwork:
    """Compress every layer that has a budget, weights that are shared once.

    Args:
        network: The net.
        method: The algorithm.
        budgets: Layer index to how far; layers without one are kept.
        origins: Layer index to a weight that is known to both sides, such as the initialisation, from which the
            distance is compressed.
    """
    weights: dict[str, CompressedLayer] = {}
    uses = Counter(layer.weight_name for layer in network.layers)
    for layer in network.layers:
        if layer.weight_name in weights:
            continue
        budget = budgets.get(layer.index)
        if budget is None:
            weights[layer.weight_name] = kept(layer, "not chosen")
            continue
        if method.name == "matrix-project-conv" and uses[layer.weight_name] > 1:
            weights[layer.weight_name] = kept(layer, "other layers share its weight")
            continue
        origin = None if origins is None else origins[layer.index]
        weights[layer.weight_name] = _ALGORITHMS[method.name](layer, method, budget, origin)
    return CompressedNetwork(network, weights)


def _difference(layer: Layer, origin: Float64Array | None) -> tuple[Float64Array, Float64Array]:
    """What is compressed, and what is added to it afterwards."""
    weight = layer.operator.effective_weight()
    return (weight, np.zeros_like(weight)) if origin is None else (weight - origin, origin)


def _by_matrix_project(layer: Layer, method: Method, budget: Budget, origin: Float64Array | None) -> CompressedLayer:
    matrix, known = _difference(layer, origin)
    epsilon = budget.value if budget.knob == "epsilon" else None
    if epsilon is not None:
        halved = epsilon / 2 if method.constants == "explicit" else epsilon
        count = projections(halved, method.eta, method.constants)
    else:
        count = int(budget.value) if budget.knob == "k" else kept_numbers(budget.value, matrix.size)
    if budget.knob != "keep" and count > matrix.size:
        return kept(layer, f"k = {count:,} exceeds its {matrix.size:,} weights, so nothing would be saved")
    code = matrix_project(matrix, count, seed=method.seed, layer=layer.index, epsilon=epsilon, threads=method.threads)
    restored = code.matrix(method.threads) + known
    return described(layer, "matrix-project", restored, count, count * code.width, epsilon=epsilon, code=code)


def _by_conv(layer: Layer, method: Method, budget: Budget, origin: Float64Array | None) -> CompressedLayer:
    if not isinstance(layer.operator, Conv):
        return kept(layer, "it is no convolution")
    matrix, known = _difference(layer, origin)
    if known.any():
        return kept(layer, "a distance to initialisation is compressed by matrix-project, svd or quantise")
    repeated = repetitions(method.eta)
    epsilon = budget.value if budget.knob == "epsilon" else None
    if epsilon is not None:
        count = projections_of_kernel(layer.kernel, layer.stride, epsilon, method.eta)
    else:
        count = int(budget.value) if budget.knob == "k" else kept_numbers(budget.value, matrix.size, repeated)
    dimension = count * repeated
    if dimension >= matrix.size:
        why = f"k p = {dimension:,} is not below its {matrix.size:,} weights, so nothing would be saved"
        return kept(layer, why)
    needed = 4 * layer.positions * matrix.size
    if needed > method.filter_cap:
        return kept(layer, f"its filters per position take {needed:,} bytes, more than {method.filter_cap:,}")
    code = matrix_project_conv(matrix, count, repeated, seed=method.seed, layer=layer.index, subspace=method.subspace)
    filters = code.filters(layer.positions)
    payload = dimension * code.width
    return described(
        layer,
        "matrix-project-conv",
        filters.mean(axis=0),
        dimension,
        payload,
        epsilon=epsilon,
        code=code,
        filters=filters,
    )


def _by_svd(layer: Layer, method: Method, budget: Budget, origin: Float64Array | None) -> CompressedLayer:
    whole, known = _difference(layer, origin)
    matrix = whole.reshape(len(whole), -1)
    if budget.knob == "cut":
        rank = rank_of_cut(matrix, budget.value)
    elif budget.knob == "energy":
        rank = rank_of_energy(matrix, budget.value)
    else:
        rank = int(budget.value)
        if budget.knob == "keep":
            rank = kept_numbers(budget.value, matrix.size, sum(matrix.shape))
    width = method.width or _FLOAT_BITS
    if rank * sum(matrix.shape) * width >= matrix.size * _FLOAT_BITS:
        numbers = rank * sum(matrix.shape)
        return kept(layer, f"rank {rank} takes {numbers:,} numbers for its {matrix.size:,}, so nothing would be saved")
    factors = truncate(matrix, rank, method.width)
    restored = factors.matrix().reshape(whole.shape) + known
    code = factors if origin is None else None
    return described(layer, "svd", restored, factors.parameters, factors.parameters * factors.width, code=code)


def _by_quantise(layer: Layer, method: Method, budget: Budget, origin: Float64Array | None) -> CompressedLayer:
    del method
    matrix, known = _difference(layer, origin)
    width = max(2, int(_FLOAT_BITS * budget.value)) if budget.knob == "keep" else int(budget.value)
    payload = width * matrix.size + _FLOAT_BITS * len(matrix)
    if payload >= _FLOAT_BITS * matrix.size:
        return kept(layer, f"{width} bits of each weight and a step per unit take as many, so nothing would be saved")
    found = quantise(matrix, width)
    return described(layer, "quantise", found.matrix() + known, matrix.size + len(matrix), payload)


def _by_vectors(layer: Layer, method: Method, budget: Budget, origin: Float64Array | None) -> CompressedLayer:
    """Every row of a linear classifier, brought to norm 1 by the largest of their norms."""
    matrix, known = _difference(layer, origin)
    scale = float(np.float32(np.linalg.norm(matrix, axis=1).max() * (1 + 1e-6))) or 1.0
    rows = matrix / scale
    if method.name == "vector-compress":
        sparse = [
            vector_compress(row, budget.value, method.eta, seed=method.seed, stream=i) for i, row in enumerate(rows)
        ]
        numbers, bits = sum(len(code.places) for code in sparse), sum(code.bits for code in sparse)
        vectors = [code.vector() for code in sparse]
        bits += len(rows) * ceil(log2(rows.shape[1] + 1))
    else:
        count, error = _projections_of_rows(method, budget, rows.shape[1])
        if count > rows.shape[1] and budget.knob != "keep":
            why = f"k = {count:,} exceeds the {rows.shape[1]:,} weights of a row, so nothing would be saved"
            return kept(layer, why)
        codes = [vector_project(row, error, count, seed=method.seed, layer=i + 1) for i, row in enumerate(rows)]
        numbers, bits = count * len(rows), sum(code.bits for code in codes)
        vectors = [code.vector() for code in codes]
    epsilon = budget.value if budget.knob == "epsilon" else None
    restored = np.stack(vectors) * scale + known
    return described(layer, method.name, restored, numbers, bits + _FLOAT_BITS * len(rows), epsilon=epsilon)


def _projections_of_rows(method: Method, budget: Budget, size: int) -> tuple[int, float]:
    """k, and the gamma that sets the rounding of its coefficients."""
    if budget.knob == "epsilon":
        return projections_of_vector(budget.value, method.eta, method.constants), budget.value
    count = int(budget.value) if budget.knob == "k" else kept_numbers(budget.value, size)
    return count, 0.25


_ALGORITHMS: dict[str, Callable[[Layer, Method, Budget, Float64Array | None], CompressedLayer]] = {
    "matrix-project": _by_matrix_project,
    "matrix-project-conv": _by_conv,
    "svd": _by_svd,
    "quantise": _by_quantise,
    "vector-compress": _by_vectors,
    "vector-project": _by_vectors,
}
"""Method name to the function that compresses one layer."""
